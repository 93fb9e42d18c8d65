"""Both networks' parameters as one flat vector of blocks, each the two nets stacked and padded.

A learner's cost is the number of graph nodes: with one flat vector the gradient's norm, its
clipping and Adam are a handful of operations, and with stacked blocks every layer of both nets is
one batched matmul. A block is (2, rows, columns), actor then critic, weights transposed to (inputs,
outputs); the narrower net is padded with zeros. Padding stays exactly zero: its activations are
zero (gain and shift are), so the gradients of padded rows are zero, and those of padded columns are
because no weight leads on from them.

Must not: know of losses or optimizers, or import MLX.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from strategies.networks import Architecture, FloatArray

NETS: Final = ("actor", "critic")

LAYERS: Final = (
    ("temporal_encoder.fc1", "temporal_encoder.ln1"),
    ("temporal_encoder.fc2", "temporal_encoder.ln2"),
    ("fc1", "ln1"),
    ("fc2", "ln2"),
)
"""Each linear map and the LayerNorm after it, from the window to the head ``fc3``."""
BLOCKS_A_LAYER: Final = 4
"""Weight, bias, norm gain and norm shift."""


class Block(NamedTuple):
    """One parameter of both nets: (2, rows, columns) of the flat vector."""

    name: str
    """Dotted name without the net, such as ``fc1.weight``."""
    rows: int
    columns: int
    start: int

    @property
    def size(self) -> int:
        """Return the number of scalars, padding included."""
        return len(NETS) * self.rows * self.columns


class PackedLayout:
    """Where every parameter of an architecture is in the flat vector."""

    def __init__(self, shape: Architecture) -> None:
        self.shape = shape
        width = max(shape.actor_hidden, shape.critic_hidden)
        fused = shape.features + shape.temporal_width
        sizes = (
            (shape.window_width, shape.encoder_hidden),
            (shape.encoder_hidden, shape.temporal_width),
            (fused, width),
            (width, width),
        )
        blocks: list[Block] = []
        for (linear, norm), (inputs, outputs) in zip(LAYERS, sizes, strict=True):
            _add(blocks, f"{linear}.weight", inputs, outputs)
            for name in (f"{linear}.bias", f"{norm}.weight", f"{norm}.bias"):
                _add(blocks, name, 1, outputs)
        _add(blocks, "fc3.weight", width, shape.actions)
        _add(blocks, "fc3.bias", 1, shape.actions)
        self.blocks = tuple(blocks)
        self.size = blocks[-1].start + blocks[-1].size
        """Scalars in the flat vector, padding included."""

    def pack(self, parameters: Mapping[str, FloatArray]) -> FloatArray:
        """Return parameters by dotted name as a flat float32 vector, zero where padded.

        Raises ``KeyError`` for a missing name and ``ValueError`` for a larger shape.
        """
        flat = np.zeros(self.size, dtype=np.float32)
        for block in self.blocks:
            stacked = self._stacked(flat, block)
            for row, net in enumerate(NETS):
                value = _transposed(parameters[f"{net}.{block.name}"])
                stacked[row, : value.shape[0], : value.shape[1]] = value
        return flat

    def unpack(self, flat: FloatArray, names: Mapping[str, tuple[int, ...]]) -> Mapping[str, FloatArray]:
        """Return copies of the parameters with these names and shapes, padding left out."""
        parameters: dict[str, FloatArray] = {}
        for block in self.blocks:
            stacked = self._stacked(flat, block)
            for row, net in enumerate(NETS):
                name = f"{net}.{block.name}"
                shape = names[name]
                if len(shape) == 1:
                    parameters[name] = stacked[row, 0, : shape[0]].copy()
                else:
                    outputs, inputs = shape
                    parameters[name] = np.ascontiguousarray(stacked[row, :inputs, :outputs].T)
        return parameters

    def unit_shares(self, name: str) -> FloatArray:
        """Return (2, 1, columns) of a linear map: 1 / width for a unit of the net, 0 for padding.

        A sum over units times this is their mean, and nothing at the padding.
        """
        columns = next(block.columns for block in self.blocks if block.name == f"{name}.bias")
        widths = (columns, columns)
        if name in ("fc1", "fc2"):
            widths = (self.shape.actor_hidden, self.shape.critic_hidden)
        shares = np.zeros((len(NETS), 1, columns), dtype=np.float32)
        for row, width in enumerate(widths):
            shares[row, 0, :width] = 1.0 / width
        return shares

    def _stacked(self, flat: FloatArray, block: Block) -> FloatArray:
        part = flat[block.start : block.start + block.size]
        return part.reshape(len(NETS), block.rows, block.columns)


def _add(blocks: list[Block], name: str, rows: int, columns: int) -> None:
    start = blocks[-1].start + blocks[-1].size if blocks else 0
    blocks.append(Block(name, rows, columns, start))


def _transposed(value: FloatArray) -> FloatArray:
    return value[None] if value.ndim == 1 else value.T

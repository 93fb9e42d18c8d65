"""Both networks' parameters as one flat vector, so that norm, clipping and Adam are few operations.

A learner's cost is the number of graph nodes as much as arithmetic. In one vector the gradient's
norm, its clipping and Adam are a dozen nodes for both nets; the two encoders, which are of one
shape, are stacked so that one batched matmul serves both. Nothing is padded: the layers after the
encoders are the actor's and the critic's own. Weights are transposed to (inputs, outputs), as the
forward multiplies them.

Must not: know of losses or optimizers, or import MLX.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from strategies.networks import Architecture, FloatArray

NETS: Final = ("actor", "critic")
ENCODER_LAYERS: Final = (
    ("temporal_encoder.fc1", "temporal_encoder.ln1"),
    ("temporal_encoder.fc2", "temporal_encoder.ln2"),
)
HIDDEN_LAYERS: Final = (("fc1", "ln1"), ("fc2", "ln2"))
"""Each linear map and the LayerNorm after it; last comes the head ``fc3``, which has none."""
BLOCKS_A_LAYER: Final = 4
"""Weight, bias, norm gain and norm shift."""


class Block(NamedTuple):
    """One parameter, of one net or of both stacked, in the flat vector."""

    name: str
    """Dotted name without the net, such as ``fc1.weight``."""
    nets: tuple[str, ...]
    rows: int
    columns: int
    start: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Return (rows, columns), or (2, rows, columns) where both nets are stacked."""
        own = (self.rows, self.columns)
        return (len(self.nets), *own) if len(self.nets) > 1 else own

    @property
    def is_matrix(self) -> bool:
        """Return whether it is a linear map's weight: all others are vectors."""
        return self.name.rpartition(".")[0][-3:-1] == "fc" and self.name.endswith(".weight")

    @property
    def end(self) -> int:
        """Return where the next block starts."""
        return self.start + len(self.nets) * self.rows * self.columns


class PackedLayout:
    """Where every parameter of an architecture is in the flat vector: encoders, actor, critic."""

    def __init__(self, shape: Architecture) -> None:
        self.shape = shape
        self._blocks: list[Block] = []
        encoder = (shape.window_width, shape.encoder_hidden, shape.temporal_width)
        self._add_layers(NETS, ENCODER_LAYERS, encoder)
        fused = shape.features + shape.temporal_width
        hidden = (shape.actor_hidden, shape.critic_hidden)
        for net, width, outputs in zip(NETS, hidden, (shape.actions, 1), strict=True):
            self._add_layers((net,), HIDDEN_LAYERS, (fused, width, width))
            self._add((net,), "fc3.weight", width, outputs)
            self._add((net,), "fc3.bias", 1, outputs)
        self.blocks = tuple(self._blocks)
        self.size = self.blocks[-1].end
        """Scalars in the flat vector: the parameters of both nets."""

    def pack(self, parameters: Mapping[str, FloatArray]) -> FloatArray:
        """Return parameters by dotted name as a flat float32 vector.

        Raises ``KeyError`` for a missing name and ``ValueError`` for another shape.
        """
        parts: list[FloatArray] = []
        for block in self.blocks:
            for net in block.nets:
                value = parameters[f"{net}.{block.name}"]
                rows = value[None] if value.ndim == 1 else value.T
                if rows.shape != (block.rows, block.columns):
                    raise ValueError(
                        f"{net}.{block.name} was {rows.shape} (inputs, outputs), "
                        f"expected {(block.rows, block.columns)}"
                    )
                parts.append(rows.reshape(-1))
        return np.concatenate(parts, dtype=np.float32)

    def unpack(self, flat: FloatArray) -> Mapping[str, FloatArray]:
        """Return copies of the parameters by dotted name, shaped as in the weight files."""
        parameters: dict[str, FloatArray] = {}
        for block in self.blocks:
            own = flat[block.start : block.end].reshape(len(block.nets), block.rows, block.columns)
            for net, values in zip(block.nets, own, strict=True):
                shaped = values.T if block.is_matrix else values[0]
                parameters[f"{net}.{block.name}"] = np.array(shaped, dtype=np.float32, order="C")
        return parameters

    def per_net(self, actor: float, critic: float) -> FloatArray:
        """Return a flat vector that is one number at the actor's scalars, another elsewhere."""
        flat = np.empty(self.size, dtype=np.float32)
        for block in self.blocks:
            own = flat[block.start : block.end].reshape(len(block.nets), -1)
            for row, net in zip(own, block.nets, strict=True):
                row[:] = actor if net == "actor" else critic
        return flat

    def gain_scales(self) -> FloatArray:
        """Return a flat vector: the root of a layer's width at its norm gains, 1 elsewhere."""
        flat = np.ones(self.size, dtype=np.float32)
        for block in self.blocks:
            if block.name.rpartition(".")[0][-3:-1] == "ln" and block.name.endswith(".weight"):
                flat[block.start : block.end] = math.sqrt(block.columns)
        return flat

    def _add_layers(
        self,
        nets: tuple[str, ...],
        layers: tuple[tuple[str, str], ...],
        widths: tuple[int, int, int],
    ) -> None:
        for (linear, norm), inputs, outputs in zip(layers, widths[:-1], widths[1:], strict=True):
            self._add(nets, f"{linear}.weight", inputs, outputs)
            for name in (f"{linear}.bias", f"{norm}.weight", f"{norm}.bias"):
                self._add(nets, name, 1, outputs)

    def _add(self, nets: tuple[str, ...], name: str, rows: int, columns: int) -> None:
        start = self._blocks[-1].end if self._blocks else 0
        self._blocks.append(Block(name, nets, rows, columns, start))

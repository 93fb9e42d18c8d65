"""What a model is: networks, the manifest that vouches for them, and how bytes are verified.

Must not: touch the file system (``strategies.registry`` does) or unpickle anything.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
import numpy as np
import safetensors
import safetensors.numpy

from helpers.domain import FEATURE_NAMES, FEATURE_NAMES_OF, FEATURE_VERSION, Action, Message
from strategies.base import ModelError
from strategies.history import HISTORY_LENGTH
from strategies.networks import (
    ActorCritic,
    Architecture,
    FloatArray,
    build_networks,
    network_parameters,
)

MODEL_ID_DIGITS: Final = 12
"""Hex digits of the weights' sha256 that name a model: 48 bits never collide among a user's few."""

MAXIMUM_WIDTH: Final = 1_024
"""Widest layer that is allocated on a manifest's word: ten times the widest of Phase 5."""

_NPZ_ERRORS: Final = (
    ValueError,
    KeyError,
    TypeError,
    OSError,
    EOFError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""All that numpy and zipfile raise for bytes that are no npz (RuntimeError: encryption, unknown
compression); found by changing bytes at random."""


class ModelManifest(Message, frozen=True):
    """What is claimed of a weights file; every claim is verified on load."""

    model_id: str
    architecture: Architecture
    feature_version: str
    feature_names: tuple[str, ...]
    created: str
    """ISO date."""
    trained_steps: int
    note: str
    weights_sha256: str
    statistics_sha256: str
    parameter_count: int
    replaces: str = ""
    """Id of the model that was in use before, for ``roll_back``; empty for the first."""


class ModelStatistics(Message, frozen=True):
    """Running reward statistics of the learner; rewards are divided by the scale only (L6)."""

    reward_mean: float
    reward_std: float
    reward_count: int


class Model(NamedTuple):
    """A verified model: evaluated networks, statistics and manifest."""

    networks: ActorCritic
    statistics: ModelStatistics
    manifest: ModelManifest


FRESH_STATISTICS: Final = ModelStatistics(reward_mean=0.0, reward_std=1.0, reward_count=0)


def build_model(
    networks: ActorCritic,
    architecture: Architecture,
    statistics: ModelStatistics,
    *,
    created: str,
    trained_steps: int,
    note: str,
    feature_version: str = FEATURE_VERSION,
) -> Model:
    """Return networks with the manifest that their present weights deserve.

    Raises ``KeyError`` for a feature version that this build does not know.
    """
    weights = encode_weights(networks)
    digest = hashlib.sha256(weights).hexdigest()
    parameters = network_parameters(networks)
    manifest = ModelManifest(
        model_id=digest[:MODEL_ID_DIGITS],
        architecture=architecture,
        feature_version=feature_version,
        feature_names=FEATURE_NAMES_OF[feature_version],
        created=created,
        trained_steps=trained_steps,
        note=note,
        weights_sha256=digest,
        statistics_sha256=hashlib.sha256(encode_statistics(statistics)).hexdigest(),
        parameter_count=sum(value.size for value in parameters.values()),
    )
    return Model(networks, statistics, manifest)


def encode_weights(networks: ActorCritic) -> bytes:
    """Return the weights as a safetensors file; the same weights give the same bytes."""
    return safetensors.numpy.save(dict(network_parameters(networks)))


def encode_statistics(statistics: ModelStatistics) -> bytes:
    """Return the statistics as an npz file; the same statistics give the same bytes."""
    buffer = io.BytesIO()
    np.savez(
        buffer,
        reward_mean=np.float64(statistics.reward_mean),
        reward_std=np.float64(statistics.reward_std),
        reward_count=np.int64(statistics.reward_count),
    )
    return buffer.getvalue()


def encode_manifest(manifest: ModelManifest) -> bytes:
    """Return the manifest as indented JSON for people to read."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode_manifest(raw: bytes, name: str) -> ModelManifest:
    """Read a manifest; unknown keys are tolerated, missing or mistyped ones raise ModelError."""
    try:
        return msgspec.json.decode(raw, type=ModelManifest)
    except msgspec.MsgspecError as error:
        raise ModelError(
            f"{name}: was no manifest ({error}), expected the JSON that the registry writes; "
            "import the weights again or roll back"
        ) from error


def decode_statistics(raw: bytes, name: str) -> ModelStatistics:
    """Read reward statistics from npz bytes without unpickling; raise ModelError on bad ones."""
    try:
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            statistics = ModelStatistics(
                reward_mean=float(arrays["reward_mean"]),
                reward_std=float(arrays["reward_std"]),
                reward_count=int(arrays["reward_count"]),
            )
    except _NPZ_ERRORS as error:
        raise ModelError(
            f"{name}: was unreadable ({error}), expected an npz with reward_mean, reward_std and "
            "reward_count and no pickled objects; restore it from a backup"
        ) from error
    found = (statistics.reward_mean, statistics.reward_std)
    if not np.isfinite(found).all() or statistics.reward_std <= 0 or statistics.reward_count < 0:
        raise ModelError(
            f"{name}: mean and standard deviation were {found} over {statistics.reward_count} "
            "rewards, expected finite, above 0 and not negative; restore it from a backup"
        )
    return statistics


def decode_weights(raw: bytes, architecture: Architecture, name: str) -> Mapping[str, FloatArray]:
    """Read exactly the architecture's parameters, float32 and finite; raise ModelError if not."""
    try:
        found = safetensors.numpy.load(raw)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelError(
            f"{name}: was no safetensors file ({error}), expected one; restore it from a backup"
        ) from error
    expected = _expected_shapes(architecture)
    missing, extra = sorted(expected.keys() - found), sorted(found.keys() - expected)
    if missing or extra:
        raise ModelError(
            f"{name}: parameters {missing} were missing and {extra} unknown, expected the "
            f"{len(expected)} of the architecture; use weights of this network"
        )
    for parameter, shape in expected.items():
        _check_parameter(f"{name}: {parameter}", found[parameter], shape)
    return found


def _expected_shapes(architecture: Architecture) -> Mapping[str, tuple[int, ...]]:
    template = network_parameters(ActorCritic(architecture))
    return {parameter: value.shape for parameter, value in template.items()}


def _check_parameter(name: str, value: FloatArray, shape: tuple[int, ...]) -> None:
    if value.shape != shape or value.dtype != np.float32:
        raise ModelError(
            f"{name} was {value.dtype} {value.shape}, expected float32 {shape}; "
            "use weights of this network"
        )
    if not np.isfinite(value).all():
        raise ModelError(f"{name} was not finite everywhere; restore the model from a backup")


def verify_model(weights: bytes, statistics: bytes, manifest: ModelManifest, name: str) -> Model:
    """Build the model if every claim of its manifest holds; raise ModelError at the first not."""
    if manifest.feature_names != FEATURE_NAMES_OF.get(manifest.feature_version):
        raise ModelError(
            f"{name}: feature version was {manifest.feature_version!r} with "
            f"{len(manifest.feature_names)} names, expected one of "
            f"{', '.join(map(repr, FEATURE_NAMES_OF))} and its {len(FEATURE_NAMES)} in order; "
            "use a model trained on these features"
        )
    _check_architecture(manifest.architecture, name)
    _check_digest(f"{name}: weights", weights, manifest.weights_sha256)
    _check_digest(f"{name}: statistics", statistics, manifest.statistics_sha256)
    if manifest.model_id != manifest.weights_sha256[:MODEL_ID_DIGITS]:
        raise ModelError(
            f"{name}: model id was {manifest.model_id!r}, expected the start of the weights' "
            f"sha256, {manifest.weights_sha256[:MODEL_ID_DIGITS]!r}; roll back"
        )
    parameters = decode_weights(weights, manifest.architecture, name)
    count = sum(value.size for value in parameters.values())
    if count != manifest.parameter_count:
        raise ModelError(
            f"{name}: parameter count was {count}, expected {manifest.parameter_count} by its "
            "manifest; roll back"
        )
    networks = build_networks(manifest.architecture, parameters)
    return Model(networks, decode_statistics(statistics, name), manifest)


def _check_architecture(found: Architecture, name: str) -> None:
    window = (found.features, found.history_length, found.actions)
    expected = (len(FEATURE_NAMES), HISTORY_LENGTH, len(Action))
    widths = (found.encoder_hidden, found.temporal_width, found.actor_hidden, found.critic_hidden)
    if window != expected or not all(0 < width <= MAXIMUM_WIDTH for width in widths):
        raise ModelError(
            f"{name}: features, states and actions were {window} and layer widths {widths}, "
            f"expected {expected} and 1 to {MAXIMUM_WIDTH}; use a model of this network"
        )


def _check_digest(name: str, raw: bytes, expected: str) -> None:
    found = hashlib.sha256(raw).hexdigest()
    if found != expected:
        raise ModelError(
            f"{name} had sha256 {found}, expected {expected} by the manifest; the files do not "
            "belong together or are damaged: roll back"
        )

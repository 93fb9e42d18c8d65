"""What a model is: networks, the manifest that vouches for them, and how bytes are verified.

Must not: touch the file system (``strategies.model_files`` does), unpickle anything, or import MLX
before networks are wanted: bytes are verified without it.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np
import safetensors
import safetensors.numpy

from helpers.domain import FEATURE_NAMES, FEATURE_NAMES_OF, FEATURE_VERSION, Action, Message
from strategies.architecture import ARCHITECTURE_NAME, Architecture, parameter_shapes
from strategies.base import ModelError
from strategies.history import HISTORY_LENGTH

if TYPE_CHECKING:
    from strategies.networks import ActorCritic, FloatArray

MEND: Final = (
    "if it is the one in use (MODEL_DIRECTORY), `uv run worker.py models rollback` brings back the "
    "one before it"
)
"""A path may be mistyped (SHADOW, ``models show``): that is no reason to change what trades."""
MEND_MISSING: Final = f"{MEND}, and `uv run python -m strategies.registry init DIRECTORY` makes one"
MODEL_ID_DIGITS: Final = 12
"""Hex digits of the weights' sha256 that name a model: 48 bits never collide among a user's few."""

METRICS_MAXIMUM: Final = 64
"""Figures a manifest may carry: it is read on every start and shown whole."""
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
    architecture_name: str = ARCHITECTURE_NAME
    parent: str = ""
    """Id of the model that its training began from; empty for fresh weights, or not known."""
    data: str = ""
    """What it was trained on, in words."""
    seed: int | None = None
    """Of its training, or of its fresh weights; ``None`` where it is not known."""
    metrics: Mapping[str, float] = msgspec.field(default_factory=dict[str, float])
    """What was measured of it, by name with the unit last; finite."""
    optimizer_sha256: str = ""
    """Of the optimizer's state beside it; empty without one."""


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
    parent: str = "",
    data: str = "",
    seed: int | None = None,
    metrics: Mapping[str, float] | None = None,
) -> Model:
    """Return networks with the manifest that their present weights deserve.

    Raises ``KeyError`` for a feature version that this build does not know, and ``ValueError`` for
    a metric that is not finite, or more than 64 of them.
    """
    weights = encode_weights(networks)
    digest = sha256_of(weights)
    measured = dict(metrics or {})
    bad = sorted(name for name, value in measured.items() if not math.isfinite(value))
    if bad or len(measured) > METRICS_MAXIMUM:
        raise ValueError(
            f"metrics {bad} of {len(measured)} were not finite, expected at most "
            f"{METRICS_MAXIMUM} finite ones"
        )
    manifest = ModelManifest(
        model_id=digest[:MODEL_ID_DIGITS],
        architecture=architecture,
        feature_version=feature_version,
        feature_names=FEATURE_NAMES_OF[feature_version],
        created=created,
        trained_steps=trained_steps,
        note=note,
        weights_sha256=digest,
        statistics_sha256=sha256_of(encode_statistics(statistics)),
        parameter_count=parameter_count(architecture),
        parent=parent,
        data=data,
        seed=seed,
        metrics=measured,
    )
    return Model(networks, statistics, manifest)


def encode_weights(networks: ActorCritic) -> bytes:
    """Return the weights as a safetensors file; the same weights give the same bytes."""
    from strategies.networks import network_parameters

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
            f"promote the model again, or {MEND}"
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
            f"reward_count and no pickled objects; {MEND}"
        ) from error
    found = (statistics.reward_mean, statistics.reward_std)
    if not np.isfinite(found).all() or statistics.reward_std <= 0 or statistics.reward_count < 0:
        raise ModelError(
            f"{name}: mean and standard deviation were {found} over {statistics.reward_count} "
            f"rewards, expected finite, above 0 and not negative; {MEND}"
        )
    return statistics


def decode_weights(raw: bytes, architecture: Architecture, name: str) -> Mapping[str, FloatArray]:
    """Read exactly the architecture's parameters, float32 and finite; raise ModelError if not."""
    try:
        found = safetensors.numpy.load(raw)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelError(
            f"{name}: was no safetensors file ({error}), expected one; {MEND}"
        ) from error
    expected = parameter_shapes(architecture)
    missing, extra = sorted(expected.keys() - found), sorted(found.keys() - expected)
    if missing or extra:
        raise ModelError(
            f"{name}: parameters {missing} were missing and {extra} unknown, expected the "
            f"{len(expected)} of the architecture; use weights of this network"
        )
    for parameter, shape in expected.items():
        _check_parameter(f"{name}: {parameter}", found[parameter], shape)
    return found


def parameter_count(architecture: Architecture) -> int:
    """Return the number of weights: 38,756 for the shapes of Phase 5."""
    return sum(math.prod(shape) for shape in parameter_shapes(architecture).values())


def _check_parameter(name: str, value: FloatArray, shape: tuple[int, ...]) -> None:
    if value.shape != shape or value.dtype != np.float32:
        raise ModelError(
            f"{name} was {value.dtype} {value.shape}, expected float32 {shape}; "
            "use weights of this network"
        )
    if not np.isfinite(value).all():
        raise ModelError(f"{name} was not finite everywhere, expected no NaN; {MEND}")


class Parts(NamedTuple):
    """What the bytes of a model hold once every claim of its manifest was verified."""

    parameters: Mapping[str, FloatArray]
    statistics: ModelStatistics


def verify_model(weights: bytes, statistics: bytes, manifest: ModelManifest, name: str) -> Model:
    """Build the model if every claim of its manifest holds; raise ModelError at the first not."""
    from strategies.networks import build_networks

    parts = verify_parts(weights, statistics, manifest, name)
    networks = build_networks(manifest.architecture, parts.parameters)
    return Model(networks, parts.statistics, manifest)


def verify_parts(weights: bytes, statistics: bytes, manifest: ModelManifest, name: str) -> Parts:
    """Return a model's parameters and statistics if every claim of its manifest holds.

    Raises ``ModelError`` at the first that does not. Needs no MLX.
    """
    if manifest.feature_names != FEATURE_NAMES_OF.get(manifest.feature_version):
        raise ModelError(
            f"{name}: feature version was {manifest.feature_version!r} with "
            f"{len(manifest.feature_names)} names, expected one of "
            f"{', '.join(map(repr, FEATURE_NAMES_OF))} and its {len(FEATURE_NAMES)} in order; "
            "use a model trained on these features"
        )
    _check_architecture(manifest, name)
    check_digest(f"{name}: weights", weights, manifest.weights_sha256)
    check_digest(f"{name}: statistics", statistics, manifest.statistics_sha256)
    if manifest.model_id != manifest.weights_sha256[:MODEL_ID_DIGITS]:
        raise ModelError(
            f"{name}: model id was {manifest.model_id!r}, expected the start of the weights' "
            f"sha256, {manifest.weights_sha256[:MODEL_ID_DIGITS]!r}; {MEND}"
        )
    parameters = decode_weights(weights, manifest.architecture, name)
    count = sum(value.size for value in parameters.values())
    if count != manifest.parameter_count:
        raise ModelError(
            f"{name}: parameter count was {count}, expected {manifest.parameter_count} by its "
            f"manifest; {MEND}"
        )
    return Parts(parameters, decode_statistics(statistics, name))


def _check_architecture(manifest: ModelManifest, name: str) -> None:
    if manifest.architecture_name != ARCHITECTURE_NAME:
        raise ModelError(
            f"{name}: architecture was {manifest.architecture_name!r}, expected "
            f"{ARCHITECTURE_NAME!r}; use a model of this network"
        )
    found = manifest.architecture
    window = (found.features, found.history_length, found.actions)
    expected = (len(FEATURE_NAMES), HISTORY_LENGTH, len(Action))
    widths = (found.encoder_hidden, found.temporal_width, found.actor_hidden, found.critic_hidden)
    if window != expected or not all(0 < width <= MAXIMUM_WIDTH for width in widths):
        raise ModelError(
            f"{name}: features, states and actions were {window} and layer widths {widths}, "
            f"expected {expected} and 1 to {MAXIMUM_WIDTH}; use a model of this network"
        )


def sha256_of(raw: bytes) -> str:
    """Return a digest as manifests name it."""
    return hashlib.sha256(raw).hexdigest()


def check_digest(name: str, raw: bytes, expected: str) -> None:
    """Raise ModelError when bytes are not those that a manifest vouches for."""
    found = sha256_of(raw)
    if found != expected:
        raise ModelError(
            f"{name} had sha256 {found}, expected {expected} by the manifest; the files do not "
            f"belong together or are damaged; {MEND}"
        )

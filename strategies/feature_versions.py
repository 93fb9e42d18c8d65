"""Every version of the features by its name: what its slots are called, and who computes them.

A model names its version in its manifest and is given that one. Must not: change what a version
means; another meaning is another version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from helpers.domain import (
    FEATURE_NAMES_OF,
    FEATURE_VERSION,
    FUSION_VERSION,
    MarketState,
    Position,
    Snapshot,
)
from strategies.base import Strategy
from strategies.features import features
from strategies.features_fusion import fusion_features

FeatureFunction = Callable[[Snapshot, Position], MarketState]


class FeatureSet(NamedTuple):
    """One version of the features."""

    names: tuple[str, ...]
    """Of its slots, in order."""
    function: FeatureFunction
    """Pure; its states carry the version."""


FEATURE_VERSIONS: Final[Mapping[str, FeatureSet]] = {
    FEATURE_VERSION: FeatureSet(FEATURE_NAMES_OF[FEATURE_VERSION], features),
    FUSION_VERSION: FeatureSet(FEATURE_NAMES_OF[FUSION_VERSION], fusion_features),
}


def feature_function(version: str) -> FeatureFunction:
    """Return who computes a version; raise ``KeyError`` for one that is not known."""
    return FEATURE_VERSIONS[version].function


def version_of(strategy: Strategy) -> str:
    """Return the version a strategy must be given; rules read none, and get ``phase5``."""
    version = getattr(strategy, "feature_version", FEATURE_VERSION)
    return version if isinstance(version, str) else FEATURE_VERSION

"""Where the private recordings and fixtures lie, if they do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).resolve().parents[2] / "shared"
SHARED = Path(os.environ.get("SHARED_DIR", str(_BESIDE)))


def shared_file(relative: str) -> Path:
    """Return a shared file, or skip the test with the reason."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"private test data {relative} is not beside this checkout")
    return path

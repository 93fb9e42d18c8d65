"""Market state: what the feeds told, shown as frozen views. Must not decide anything."""

from __future__ import annotations

from helpers.board.board import Board

__all__ = ["Board"]

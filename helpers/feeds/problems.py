"""How the I/O side says what went wrong without stopping; must not log or count it itself."""

from __future__ import annotations

from collections.abc import Callable

from helpers.domain import Message, Source


class FeedProblem(Message, frozen=True):
    """Something that could not be fetched, and why; it is tried again where that can help."""

    source: Source
    subject: str
    """Slug, token or symbol."""
    what: str
    at_ns: int


OnProblem = Callable[[FeedProblem], None]
"""Where problems go; the receiver limits the rate of its own log."""

"""What a policy that learns must know of how its flow trades.

Must not: import anything that learns; whoever composes a flow imports this.
"""

from __future__ import annotations

from helpers.domain import Message


class Terms(Message, frozen=True):
    """What the flow trades by, as far as choices depend on it."""

    capital_micros: int
    """Dollars that a reward of 1 stands for."""
    entry_stop_seconds: float = 0.0
    """No entry is allowed this close to the close."""
    cooldown_seconds: float = 0.0
    """No entry is allowed in a market this soon after a position closed."""

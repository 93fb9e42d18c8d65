"""Errors that cross from a stage to the flow, each named for what the flow must do."""

from __future__ import annotations


class LedgerError(Exception):
    """The venue reported something that cannot be booked; the ledger is unchanged.

    Trading in that market stops until it is reconciled.
    """

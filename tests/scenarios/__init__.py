"""Whole runs: tapes through the flow, and the worker against servers."""

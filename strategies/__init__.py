"""Policies: pure functions of market states. No network, no asyncio."""

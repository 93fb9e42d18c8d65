"""Exchanges that speak the venues' real protocols, for the demo, for training and for tests."""

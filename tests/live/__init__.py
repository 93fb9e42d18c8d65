"""Live trading, piece by piece."""

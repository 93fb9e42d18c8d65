"""The vendor's two official clients, unmodified, against the simulated venue."""

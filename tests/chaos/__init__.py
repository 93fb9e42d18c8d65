"""Long and rough runs of the live executor against the simulated venue."""

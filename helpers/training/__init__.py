"""Learning from what a flow did: choices and their outcomes gathered, and updates made of them."""

"""Tests of the simulated exchanges."""

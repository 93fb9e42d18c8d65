"""The stages of the worker."""

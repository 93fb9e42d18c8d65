"""Tests mirror the modules; scenarios drive the whole worker."""

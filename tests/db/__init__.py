"""Tests against a real Postgres: the embedded one."""

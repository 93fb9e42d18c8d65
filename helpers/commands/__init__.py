"""Operator verbs, one file each."""

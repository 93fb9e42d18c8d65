"""Postgres and the journal; the only room that speaks SQL."""

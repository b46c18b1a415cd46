"""Decisions and outcomes as JSON-ready documents: pure functions."""

"""Carrying out a plan, and never more than it."""

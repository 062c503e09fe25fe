"""Everybody logs in at once, from a standing start."""

"""Definitions that more than one room reads: each stands here once."""

"""Ratios against a named peer in one run; nothing here is timed in `tests/`."""

"""Evidently jobs and the tables they keep: what is measured, never what is done about it."""

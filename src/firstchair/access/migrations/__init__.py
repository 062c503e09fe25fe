"""Migrations of the sessions' table."""

"""Logins go on while lists are published and workers are killed."""

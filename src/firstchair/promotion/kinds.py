"""Kinds of entries that the gate writes."""

FIRST_CHAMPION, REFRESH, CHALLENGE, TRIAL = "first_champion", "refresh", "challenge", "trial"

"""Kinds of entries: those that the gate computes, and the end of a canary that lost its version."""

FIRST_CHAMPION, REFRESH, CHALLENGE, TRIAL = "first_champion", "refresh", "challenge", "trial"
LOST_CANARY = "lost_canary"

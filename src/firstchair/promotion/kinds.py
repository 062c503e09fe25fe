"""Kinds of entries in the ledger; the values never change, since old entries hold them."""

FIRST_CHAMPION, REFRESH, CHALLENGE, EXPERIMENT = "first_champion", "refresh", "challenge", "trial"
LOST_CANARY = "lost_canary"

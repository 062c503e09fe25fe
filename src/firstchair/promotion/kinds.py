"""Kinds of entries in the ledger; the values never change, since old entries hold them."""

FIRST_CHAMPION, REFRESH, CHALLENGE, EXPERIMENT = "first_champion", "refresh", "challenge", "trial"
LOST_CANARY = "lost_canary"
# A user was forgotten; the entry says which versions were fitted again, and not who it was.
ERASURE = "erasure"

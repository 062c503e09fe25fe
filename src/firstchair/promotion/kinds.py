"""Kinds of entries in the ledger, and the actions of decisions.

The values never change, since old entries hold them.
"""

from enum import StrEnum

FIRST_CHAMPION, REFRESH, CHALLENGE, EXPERIMENT = "first_champion", "refresh", "challenge", "trial"
LOST_CANARY = "lost_canary"
# Finding of a ramp step that is not over, or over without a test, although it raised no alarm: what
# its users were shown.
UNSEEN = "unseen"
# A user was forgotten; the entry says which versions were fitted again, and not who it was.
ERASURE = "erasure"


class Verb(StrEnum):
    """The action of a decision."""

    PROMOTE = "promote"
    HOLD = "hold"
    REJECT = "reject"
    ROLL_BACK = "roll_back"

"""The decision about a login: which slate a user is shown. Every caller makes it here."""

from datetime import date

from firstchair.login.folded_slates import folded_slate
from firstchair.login.slates import Slate, make_slate
from firstchair.publication.published import Published
from firstchair.signals.today import Today


def decide_slate(
    published: Published,
    today: Today | None,
    user_key: bytes,
    *,
    k: int,
    day: date,
    now: float,
    seed: int,
) -> Slate:
    """Make a user's slate: with today's signals folded in if they change it, else from their list.

    Args:
        published: What is served now.
        today: The newest signals of all users; None where signals are not folded in.
        user_key: 16 bytes, the user's pseudonym.
        k: Length of the slate, 1 to the length of the lists.
        day: UTC day of the login.
        now: Instant of the login, seconds since 1970.
        seed: The platform's seed.
    """
    signals = () if today is None else today.unknown(user_key, published.as_of, now)
    if signals:
        folded = folded_slate(published, user_key, signals, k=k, day=day, seed=seed)
        if folded is not None:
            return folded
    return make_slate(published, user_key, k=k, day=day, seed=seed)

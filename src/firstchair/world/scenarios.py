"""Worlds by name: what their listeners are like and what befalls them. A scenario changes the world, never a model."""

from dataclasses import dataclass, field, replace

from firstchair.errors import SettingsError

# Weight of a taste of one's own where nothing else counts.
PERSONAL = 3.2


@dataclass(frozen=True, slots=True)
class Leaning:
    """What moves a user to click: weights of the log-odds of a click on an artist that they see.

    personal: of the inner product of the user's taste and the artist's sound. local: of being a hit
    in the user's country and age band, for some days. fresh: of how new the artist is. fatigue:
    subtracted for each time (as a logarithm) that the user was shown the artist lately.
    soured: countries in which nobody wants to be shown local hits any more: `local` counts against. put_off: where
    local hits count against, taken off every artist of a slate for each hit on it, by how much of a hit it is.
    bait: how much less a local hit is heard than it is clicked for.

    What is played unasked depends on none of these, so nothing but clicks and their plays tells that they changed.
    """

    personal: float = PERSONAL
    local: float = 0.0
    fresh: float = 0.0
    fatigue: float = 0.15
    soured: tuple[str, ...] = ()
    put_off: float = 0.0
    bait: float = 0.0


@dataclass(frozen=True, slots=True)
class Incidents:
    """What goes wrong on the way of the events, from the incident's day on.

    everyday: a few duplicates, late events and broken records, on every day. garbled: share of one sender's records
    that are broken on the day. late: share of the day's events that come days later. silent_days: days for which one
    sender is silent, to send all of it afterwards. lost_challenger: listeners on one device whose slates of a
    challenger never render: neither shown nor reported.
    """

    everyday: bool = True
    garbled: float = 0.0
    late: float = 0.0
    silent_days: int = 0
    lost_challenger: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named world.

    told: one sentence for a person. leaning: before the day of change. shifted: after it, or None
    where nothing changes. debuts: share of the artists that appear while the world is watched.
    expected: what a gate should come to, given enough listeners and days.
    """

    name: str
    told: str
    leaning: Leaning = field(default_factory=Leaning)
    shifted: Leaning | None = None
    incidents: Incidents = field(default_factory=Incidents)
    debuts: float = 0.0
    expected: str = "hold"


# Listeners who take whatever they are shown: no list can be better than another.
INDIFFERENT = Leaning(personal=0.0, fatigue=0.0)
# Listeners who follow their country, their age and what is new.
FASHIONABLE = Leaning(personal=2.2, local=2.0, fresh=0.7)

_ALL = (
    Scenario(
        "steady",
        "tastes stay, every event arrives once and in time",
        incidents=Incidents(everyday=False),
    ),
    Scenario(
        "imperfect-delivery",
        "the same world, with duplicates, late events, broken records and odd accounts",
    ),
    Scenario(
        "better-challenger",
        "tastes follow country, age and new artists, which a ranker can see and factors cannot",
        leaning=FASHIONABLE,
        debuts=0.15,
        expected="promote",
    ),
    Scenario(
        "no-difference", "a click depends on the listener and the place alone", leaning=INDIFFERENT
    ),
    Scenario(
        "harms-a-segment",
        "as better-challenger, until on one day in one country hits begin to put off whoever is shown them",
        leaning=FASHIONABLE,
        shifted=replace(FASHIONABLE, soured=("US",), put_off=1.0),
        debuts=0.15,
        expected="reject",
    ),
    Scenario(
        "click-bait",
        "as better-challenger, but hits are clicked and hardly heard",
        leaning=replace(FASHIONABLE, bait=3.0),
        debuts=0.15,
        expected="reject",
    ),
    Scenario(
        "taste-shift",
        "as better-challenger, until on one day hits and what is new begin to put off whoever is shown them",
        leaning=FASHIONABLE,
        shifted=replace(
            FASHIONABLE, local=-FASHIONABLE.local, fresh=-FASHIONABLE.fresh, put_off=1.0
        ),
        debuts=0.15,
        expected="roll_back",
    ),
    Scenario(
        "novelty",
        "no list is better, but what has not been shown before is clicked more at first",
        leaning=Leaning(personal=0.0, fatigue=0.6),
    ),
    Scenario(
        "bad-data-day",
        "on one day a sender breaks a third of its records",
        incidents=Incidents(garbled=0.35),
    ),
    Scenario(
        "traffic-split-broken",
        "on one device the slates of a challenger never render",
        leaning=INDIFFERENT,
        incidents=Incidents(lost_challenger=True),
    ),
    Scenario(
        "late-events",
        "of one day two fifths of the events come days later",
        incidents=Incidents(late=0.4),
    ),
    Scenario(
        "outage",
        "a sender is silent for two days, then sends all of it",
        incidents=Incidents(silent_days=2),
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}


def scenario(name: str) -> Scenario:
    """The world of that name.

    Raises:
        SettingsError: There is none.
    """
    if name not in SCENARIOS:
        raise SettingsError(
            f"There is no scenario {name}.",
            where="firstchair simulate",
            data="Nothing was written.",
            remedy=f"Choose one of {', '.join(SCENARIOS)}.",
        )
    return SCENARIOS[name]

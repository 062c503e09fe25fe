"""Worlds by name: behaviour of users, and incidents. A scenario never changes a model."""

from dataclasses import dataclass, field, replace

from firstchair.errors import SettingsError

# Weight of the personal taste if nothing else counts.
PERSONAL = 3.2


@dataclass(frozen=True, slots=True)
class Leaning:
    """Weights of the log-odds of a click on an artist that a user examines.

    Plays without a slate depend on none of these, so a change shows in clicks and their plays
    alone.

    Attributes:
        personal: Weight of the inner product of the user's taste and the artist's sound.
        local: Weight of being a hit in the user's country and age band, for some days.
        fresh: Weight of how new the artist is.
        fatigue: Subtracted times the logarithm of how often the user was recently shown the artist.
        soured: Countries in which local hits are disliked: `local` is subtracted there.
        put_off: In these countries, subtracted from all artists of a slate for each hit on it.
        bait: How much less a local hit is listened to than it is clicked.
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
    """Faults in the delivery of events, from the day of the incident on.

    Attributes:
        everyday: Whether every day has a few duplicates, late events and broken records.
        garbled: Share of one source's records that are broken on the day.
        late: Share of the day's events that come days later.
        silent_days: Days for which one source is silent; it sends all of it afterwards.
        lost_challenger: Whether slates of a challenger never render on one device.
    """

    everyday: bool = True
    garbled: float = 0.0
    late: float = 0.0
    silent_days: int = 0
    lost_challenger: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named world.

    description: one sentence. leaning: behaviour before the day of change. shifted: after it; None
    without a change. debuts: share of the artists that appear during the simulation. expected: the
    right decision of a gate with enough users and days.
    """

    name: str
    description: str
    leaning: Leaning = field(default_factory=Leaning)
    shifted: Leaning | None = None
    incidents: Incidents = field(default_factory=Incidents)
    debuts: float = 0.0
    expected: str = "hold"


# Users without preferences: no list can be better than another.
INDIFFERENT = Leaning(personal=0.0, fatigue=0.0)
# Users who follow their country, their age and new artists.
FASHIONABLE = Leaning(personal=2.2, local=2.0, fresh=0.7)

_ALL = (
    Scenario(
        "steady",
        "tastes stay the same, and every event arrives once and in time",
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
        "no-difference",
        "clicks depend on the user and the position, not on the artist",
        leaning=INDIFFERENT,
    ),
    Scenario(
        "harms-a-segment",
        "as better-challenger, but from one day on users in one country dislike slates with hits",
        leaning=FASHIONABLE,
        shifted=replace(FASHIONABLE, soured=("US",), put_off=1.0),
        debuts=0.15,
        expected="reject",
    ),
    Scenario(
        "click-bait",
        "as better-challenger, but local hits are clicked and hardly listened to",
        leaning=replace(FASHIONABLE, bait=3.0),
        debuts=0.15,
        expected="reject",
    ),
    Scenario(
        "taste-shift",
        "as better-challenger, but from one day on users dislike slates with hits and new artists",
        leaning=FASHIONABLE,
        shifted=replace(
            FASHIONABLE, local=-FASHIONABLE.local, fresh=-FASHIONABLE.fresh, put_off=1.0
        ),
        debuts=0.15,
        expected="roll_back",
    ),
    Scenario(
        "novelty",
        "no list is better, but artists that were not shown before are clicked more at first",
        leaning=Leaning(personal=0.0, fatigue=0.6),
    ),
    Scenario(
        "bad-data-day",
        "on one day a source breaks a third of its records",
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
        "two fifths of the events of one day come days later",
        incidents=Incidents(late=0.4),
    ),
    Scenario(
        "outage",
        "a source is silent for two days, then sends everything",
        incidents=Incidents(silent_days=2),
    ),
)
SCENARIOS = {scenario.name: scenario for scenario in _ALL}


def scenario(name: str) -> Scenario:
    """The world of that name.

    Raises:
        SettingsError: There is no scenario of that name.
    """
    if name not in SCENARIOS:
        raise SettingsError(
            f"There is no scenario {name}.",
            where="firstchair simulate",
            data="Nothing was written.",
            remedy=f"Choose one of {', '.join(SCENARIOS)}.",
        )
    return SCENARIOS[name]

"""Due work, read from tables: new objects, days, decisions, and retraining with its cause."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from firstchair import events, publication
from firstchair.definitions.bounds import bounded
from firstchair.errors import RunError
from firstchair.lake import Lake, connect, holds_merged
from firstchair.lake import tables as t
from firstchair.platform.causes import Patience, outcome
from firstchair.platform.journal import FIRED, TriggerRecord
from firstchair.platform.platform import Platform
from firstchair.promotion import Entry, is_followed, needed_families, out_of_line, undecided

if TYPE_CHECKING:
    from monitoring import Rules

# How many days of a condition's past its rule can use.
PAST_DAYS = 60
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class RetrainingDue:
    """Features that models should be fitted on: the first cause, all causes, and their texts.

    Causes: freshness, drift, engagement_regression, overfit, volume, schedule.
    """

    as_of: date
    cause: str
    causes: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class WaitingObjects:
    """Event objects that no batch has read, and a digest of their names."""

    objects: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A possible cause: the as_of days on which it held, and its text for the newest of them.

    Drift is a separate cause for each kind of column, so that weeks of drift in one kind do not
    hide drift in another.

    known_from: First day of which `held` tells.
    """

    cause: str
    rule: Patience
    held: Mapping[date, bool]
    detail: str
    evidence: Mapping[str, Any]
    known_from: date = date.min


@dataclass(frozen=True, slots=True)
class DecisionDue:
    """A day to decide about, or whose decision is not served yet; `why` names it and its state."""

    as_of: date
    why: str


@dataclass(frozen=True, slots=True)
class DayDue:
    """The newest complete day of events, and why it cannot be built, if it cannot.

    day: None where there is none. built: it has lists, so that only a failed run of it has to be
    repeated. why: empty if it can be built.
    """

    day: date | None
    built: bool
    why: str = ""


def day_due(platform: Platform) -> DayDue:
    """The newest complete day, and whether it is or can be built."""
    try:
        day = platform.complete_days()[1]
    except RunError as none:
        return DayDue(None, built=False, why=none.what)
    built = day + ONE_DAY in platform.lake.partitions(t.RECOMMENDATIONS)
    why = platform.unusable(day + ONE_DAY)
    return DayDue(day, built, "" if why is None else f"Nothing is built on {day}: {why}")


def decisions_due(platform: Platform) -> list[DecisionDue]:
    """Days without an entry; if there are none, the last day if aliases or lists do not follow it.

    Aliases and published lists have to be as its entry says; lists are whole, hold no merged
    artist, and are in the bucket where there is one.
    """
    last = platform.ledger.last()
    number = 0 if last is None else last.sequence
    contenders = platform.settings.contending_families
    days = undecided(platform.lake, platform.registry, platform.ledger, contenders)
    if days or last is None:
        return [DecisionDue(day, f"decision-{day}-{number}") for day in days]
    if not is_followed(platform.registry, platform.ledger):
        moved = out_of_line(platform.registry, platform.ledger)
        return [DecisionDue(last.as_of, f"aliases-{last.sequence}-{moved}")]
    if (renewed := lists_to_renew(platform)) is not None:
        return [renewed]
    return _unserved(platform, last)


def lists_to_renew(platform: Platform) -> DecisionDue | None:
    """The day whose served lists are damaged, hold a since merged artist, or are not in the bucket.

    It is None where none of this holds.
    """
    root, days = platform.settings.published, platform.lake.partitions(t.RECOMMENDATIONS)
    if days and publication.damage(root) is not None:
        return DecisionDue(days[-1], f"damaged-{publication.to_serve(root)}")
    return _lists_with_merged(platform) or _lists_not_copied(platform)


def _lists_with_merged(platform: Platform) -> DecisionDue | None:
    served = publication.serves(platform.settings.published)
    version = platform.lake.version(t.ARTIST_REDIRECTS)
    if served is None or served.redirects == version:
        return None
    if not holds_merged(platform.lake, t.RECOMMENDATIONS, f"as_of = date '{served.as_of}'"):
        return None
    return DecisionDue(served.as_of, f"merged-{version}")


def _lists_not_copied(platform: Platform) -> DecisionDue | None:
    settings = platform.settings
    served = publication.serves(settings.published)
    if served is None:
        return None
    lacks = publication.not_copied(settings.published_url, settings.published)
    if not lacks:
        return None
    return DecisionDue(served.as_of, f"not-copied-{served.published}-{lacks}")


def _unserved(platform: Platform, last: Entry) -> list[DecisionDue]:
    """The day whose lists have to be published, if publishing them changes what is served."""
    served = publication.serves(platform.settings.published)
    found = None if served is None else (served.champion, served.arms)
    if found == (last.champion_after, platform.arms().bounds):
        return []
    as_of = last.as_of if served is None else max(last.as_of, served.as_of)
    assigned = publication.would_assign(
        platform.lake, platform.registry, as_of=as_of, arms=platform.arms()
    )
    if assigned is None or found == (last.champion_after, assigned):
        return []
    name = "nothing" if served is None else served.published
    return [DecisionDue(as_of, f"lists-{last.sequence}-{name}")]


def waiting_objects(platform: Platform) -> WaitingObjects:
    """Objects under events_url that the manifest does not hold as done."""
    names = sorted(events.waiting(platform.lake, events_url=platform.settings.events_url))
    return WaitingObjects(len(names), hashlib.sha256("\n".join(names).encode()).hexdigest()[:16])


def retraining_due(platform: Platform) -> RetrainingDue | None:
    """The newest features and the causes to fit models on them; None without a cause.

    The journal records each condition that holds once an as_of, as fired or with the reason why
    not, so a repeated call gives the same answer.

    Raises:
        LakeError, ModelError, LedgerError: A table, the registry or the journal does not answer;
            nothing is due.
    """
    import monitoring

    common = set(platform.lake.partitions(t.USER_FEATURES)) & set(
        platform.lake.partitions(t.INTERACTIONS)
    )
    if not common:
        return None
    newest, rules = max(common), monitoring.load_rules()
    fitted = _newest_models(platform, newest)
    conditions = [
        *of_models(platform.lake, newest, fitted, rules),
        *of_tables(platform.lake, newest, rules),
    ]
    platform.journal.record(
        judged(conditions, platform.journal.triggers(outcome=FIRED), platform, newest)
    )
    return _due(platform.journal.triggers(as_of=newest, outcome=FIRED), newest)


def judged(
    conditions: list[Condition], fired: list[TriggerRecord], platform: Platform, as_of: date
) -> list[TriggerRecord]:
    """A record of each condition that holds on `as_of`."""
    found = []
    for condition in conditions:
        fired_on = [record.as_of for record in fired if record.cause == condition.cause]
        known_from = condition.known_from
        came_to = outcome(
            condition.rule, condition.held, fired_on, as_of=as_of, known_from=known_from
        )
        if came_to is not None:
            said = (condition.cause, came_to, condition.detail, condition.evidence)
            found.append(TriggerRecord(platform.now, as_of, *said))
    return found


def of_tables(lake: Lake, as_of: date, rules: "Rules") -> Iterator[Condition]:
    """Conditions from monitoring's tables: drift, a fall of engagement, overfitting."""
    import monitoring

    since = as_of - (PAST_DAYS - 1) * ONE_DAY
    window = f"as_of >= date '{since}' and as_of <= date '{as_of}'"
    drifted = lake.read(t.DRIFT, f"{window} and drifted").to_pylist()
    for kind in sorted({row["kind"] for row in drifted}):
        days = dict.fromkeys((row["as_of"] for row in drifted if row["kind"] == kind), True)
        here = [row for row in drifted if row["as_of"] == as_of and row["kind"] == kind]
        named = {row["column"]: round(row["effect"], 3) for row in here}
        text = f"Drift of the {kind}: {', '.join(sorted(named))}."
        evidence = {"columns": named}
        yield Condition(f"drift:{kind}", rules.triggers.drift, days, text, evidence, since)
    changes = monitoring.engagement_regression(
        lake, as_of=as_of, days=PAST_DAYS, rules=rules.engagement
    )
    fallen = {day: change.fallen for day, change in changes.items()}
    if as_of in changes:
        change, rule = changes[as_of].relative_change, rules.triggers.engagement_regression
        recent = f"the last {rules.engagement.recent_days} complete days"
        text = f"CTR of {recent} is {change:+.1%} against the days before."
        yield Condition("engagement_regression", rule, fallen, text, {"change": change}, since)
    overfit = lake.read(t.OVERFIT, f"{window} and overfit").to_pylist()
    families = sorted(row["family"] for row in overfit if row["as_of"] == as_of)
    days = dict.fromkeys((row["as_of"] for row in overfit), True)
    text = f"Remembers more and foresees less than usual: {', '.join(families)}."
    yield Condition("overfit", rules.triggers.overfit, days, text, {"families": families}, since)


def of_models(lake: Lake, as_of: date, fitted: date | None, rules: "Rules") -> Iterator[Condition]:
    """Conditions from the age of the newest models: freshness, volume, schedule.

    All of them end once there are newer models.

    fitted: as_of of the newest day on which every family was fitted; None where there is none.
    """
    triggers = rules.triggers
    age = (as_of - fitted).days if fitted is not None else None
    newest = f"of {fitted}" if fitted is not None else "none"
    yield Condition(
        "freshness",
        triggers.freshness,
        _held_lately(
            triggers.freshness,
            as_of,
            lambda day: fitted is None or (day - fitted).days > triggers.freshness.max_days,
        ),
        f"Features of {as_of}, newest models {newest}.",
        {"fitted": fitted},
    )
    if age is None or fitted is None:
        return
    yield Condition(
        "schedule",
        triggers.schedule,
        _held_lately(
            triggers.schedule,
            as_of,
            lambda day: (day - fitted).days >= triggers.schedule.max_age_days,
        ),
        f"The newest models are {age} days old.",
        {"age": age},
    )
    growth = _growth(lake, fitted, as_of)
    yield Condition(
        "volume",
        triggers.volume,
        _held_lately(
            triggers.volume,
            as_of,
            lambda day: _growth(lake, fitted, day) >= triggers.volume.min_growth,
        ),
        f"Events have grown by {growth:.0%}.",
        {"growth": growth},
    )


def _held_lately(rule: Patience, as_of: date, holds: Callable[[date], bool]) -> Mapping[date, bool]:
    """Whether a condition held on each of the days that its rule asks of, up to `as_of`."""
    days = (as_of - number * ONE_DAY for number in range(rule.hold_days))
    return {day: holds(day) for day in days}


def _growth(lake: Lake, fitted: date, as_of: date) -> float:
    """Events from `fitted` on ÷ events before it, with a bounded weight of each user in both."""
    if fitted >= as_of:  # as after every daily run: nothing came since
        return 0.0
    return _grown(lake, lake.version(t.EVENTS), fitted, as_of)


@lru_cache(maxsize=32)
def _grown(lake: Lake, _version: int, fitted: date, as_of: date) -> float:
    """As `_growth`; it reads all of history, so once for a version of the table, not each tick."""
    with connect() as connection:
        counts = connection.execute(f"""
            select count(*) filter (event_date >= date '{fitted}')::double as new,
                   count(*) filter (event_date < date '{fitted}')::double as before
            from {lake.scan(t.EVENTS)} where event_date < date '{as_of}' group by user_key
        """).fetchnumpy()
    new, before = (float(bounded(counts[name]).sum()) for name in ("new", "before"))
    return new / max(1.0, before)


def _newest_models(platform: Platform, as_of: date) -> date | None:
    days = [day for day in platform.lake.partitions(t.USER_FEATURES) if day <= as_of]
    contenders = platform.settings.contending_families
    for day in reversed(days):
        found = {version.family for version in platform.registry.versions(as_of=day)}
        if found and found >= needed_families(platform.registry, platform.ledger, contenders):
            return day
    return None


def _due(fired: list[TriggerRecord], as_of: date) -> RetrainingDue | None:
    """The causes that fired on the newest as_of; freshness is last: it holds on every new day."""
    ordered = sorted(fired, key=lambda record: (record.cause == "freshness", record.sequence))
    if not ordered:
        return None
    causes = tuple(dict.fromkeys(record.cause.split(":")[0] for record in ordered))
    return RetrainingDue(as_of, causes[0], causes, " ".join(record.detail for record in ordered))

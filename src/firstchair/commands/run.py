"""`firstchair run`: materialise the same assets as the Dagster UI, in this process, day by day."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

from firstchair import events
from firstchair.errors import FirstchairError, RunError
from firstchair.lake import require_engine
from firstchair.lake import tables as t
from firstchair.platform.assets import ACCOUNTS, AFTER, FEATURES, HISTORY, MODELS, SOURCES
from firstchair.platform.observed import observe
from firstchair.platform.platform import Platform
from firstchair.platform.triggers import lists_to_renew
from firstchair.platform.work import writing

ONE_DAY = timedelta(days=1)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class RunReport:
    """The work of a run: days of events built, days that models were fitted for, Dagster runs."""

    first: date
    last: date
    history_days: int
    model_days: tuple[date, ...]
    runs: tuple[str, ...]


def run(
    platform: Platform,
    *,
    first: date | None = None,
    last: date | None = None,
    progress: Progress | None = None,
    hold_models: bool = False,
    without: Collection[str] = (),
    clock_is_right: bool = False,
) -> RunReport:
    """Materialise the pipeline up to `last`, by default the last complete day in the events.

    Days before the newest lists are rebuilt only if events reached them since. With `first`, every
    day from there gets features, models and lists of its own; without it, every day since the
    newest lists, or the last day alone if there are none yet. A day without an event, other than
    the last, gets none, nor does a day with too many refused records, and nothing is built in a
    long pause (`firstchair.events.days_to_build`). With `hold_models`, no family is fitted on a day
    during a stage with traffic: its versions are frozen, and a new one would not be evaluated.
    Assets named in `without` are left as they are, such as reports that are not read; assets that a
    decision or the lists depend on cannot be left out. With `clock_is_right`, events that were read
    under a clock that stood ahead are refused first (`firstchair.events.refuse_later_events`).

    Raises:
        SettingsError: The engine cannot run here; nothing is read or written.
        RunError: Another writer of the tables is at work, there is no complete day, or a step
            failed.
        DataError: Too much of the last day, or of all days, was refused: its events are built, and
            no features, models or lists.
    """
    require_engine(platform.lake)
    why = f"days {first or 'since the newest lists'} to {last or 'the last complete one'}"
    with writing(platform.databases.ledger, who="firstchair run", why=why, wait=False):
        progress = progress or (lambda _step, _done, _total: None)
        with _observed(_Run(platform, progress, hold_models, without)) as running:
            if clock_is_right:
                events.refuse_later_events(platform.lake, platform.now)
            return running.through(first, last)


def rebuild(
    platform: Platform,
    mend: Callable[[], None],
    *,
    who: str,
    progress: Progress | None = None,
) -> tuple[date, ...]:
    """Read accounts and catalogue, call `mend`, then build the days of events that are due.

    Days are built as `run` builds those that late events reached, with all later ones; features,
    models and lists are left to the next run.

    Args:
        platform: The platform.
        mend: Changes what landed, or what was refused.
        who: The command, as others are told who is at work.
        progress: Told of each step.

    Returns:
        The days built, ascending.

    Raises:
        RunError: Another writer of the tables is at work, the clock is behind, or a step failed.
    """
    with writing(platform.databases.ledger, who=who, wait=False):
        progress = progress or (lambda _step, _done, _total: None)
        with _observed(_Run(platform, progress, hold_models=True, without=())) as running:
            return running.after(mend)


class _Run:
    """One call of `run`: the Dagster instance, the plan and the progress."""

    def __init__(
        self, platform: Platform, progress: Progress, hold_models: bool, without: Collection[str]
    ) -> None:
        from dagster_project.execution import close_orphans
        from dagster_project.instance import open_instance

        self.platform = platform
        self.progress, self.hold_models, self.without = progress, hold_models, without
        self.instance = open_instance(platform.settings)
        self.runs: list[str] = []
        self.done = 0
        self.total = len(SOURCES)
        # This process holds the writers' lock.
        close_orphans(self.instance, now=datetime.now(UTC), is_writing=False)

    def after(self, mend: Callable[[], None]) -> tuple[date, ...]:
        self._land(ACCOUNTS)
        mend()
        if not (stale := events.stale_days(self.platform.lake)):
            return ()
        earliest, last = self.platform.complete_days()
        if stale[0] > last:
            return ()
        days = self._data_days(None, last, earliest)
        stretches = list(_stretches(days))
        self.total += len(stretches) * len(HISTORY)
        for stretch in stretches:
            self._materialise(HISTORY, stretch)
        return days

    def through(self, first: date | None, last: date | None) -> RunReport:
        self._land(SOURCES)
        earliest, complete = self.platform.complete_days()
        last = _within(last or complete, earliest, complete, "--to")
        model_days = self._model_days(first, last, earliest)
        data_days = self._data_days(first, last, earliest)
        of_a_day = self._wanted((*FEATURES, *MODELS, *AFTER))
        stretches = list(_stretches(data_days))
        self.total += len(stretches) * len(self._wanted(HISTORY)) + len(model_days) * len(of_a_day)
        for stretch in stretches:
            self._materialise(self._wanted(HISTORY), stretch)
        self.platform.require_accepted()
        self.platform.require_usable(last + ONE_DAY)
        built_days = []
        for day in model_days:
            if self.platform.unusable(day + ONE_DAY) is not None:
                continue
            # The first day's evidence was built with its events, and there was no decision since.
            built = HISTORY if day == model_days[0] and day in data_days else ()
            held = MODELS if self.hold_models and self._auditioning() else ()
            self._materialise(
                tuple(name for name in of_a_day if name not in {*built, *held}), (day, day)
            )
            built_days.append(day)
        self._renew_lists()
        return RunReport(data_days[0], last, len(data_days), tuple(built_days), tuple(self.runs))

    def _renew_lists(self) -> None:
        """Publish the served lists again if `lists_to_renew` names a day."""
        due = lists_to_renew(self.platform)
        if due is not None and self._wanted(("published_lists",)):
            day = due.as_of - ONE_DAY
            self.total += 1
            self._materialise(("published_lists",), (day, day))

    def _wanted(self, assets: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in assets if name not in self.without)

    def _auditioning(self) -> bool:
        last = self.platform.ledger.last()
        return last is not None and last.phase is not None

    def _land(self, assets: tuple[str, ...]) -> None:
        import dagster as dg

        # Partitions begin at the first day in the lake, so modules that name them are imported
        # later.
        from dagster_project.assets import ingestion
        from dagster_project.resources import PlatformResource

        events.require_clock(self.platform.lake, self.platform.now)
        landing = dg.Definitions(
            assets=dg.load_assets_from_modules([ingestion]),
            resources={"platform": PlatformResource()},
        )
        try:
            self._materialise(assets, None, landing)
        except RunError as error:
            raise self.platform.with_refused(error) from error

    def _materialise(
        self, assets: tuple[str, ...], days: tuple[date, date] | None, definitions: Any = None
    ) -> None:
        from dagster_project.execution import materialise

        if definitions is None:
            definitions = _definitions()
        label = (
            ""
            if days is None
            else f" {days[0]}"
            if days[0] == days[1]
            else f" {days[0]} to {days[1]}"
        )

        def on_step(step: str, ended: bool) -> None:
            self.done += ended
            self.progress(f"{step}{label}", self.done, self.total)

        if not assets:
            return
        ends_at = self.done + len(assets)
        clock = {"platform": {"now": self.platform.now.isoformat()}}
        self.runs.append(
            materialise(
                definitions, self.instance, assets, on_step=on_step, days=days, resources=clock
            )
        )
        self.done = ends_at
        self.progress(f"{assets[-1]}{label}", self.done, self.total)

    def _model_days(self, first: date | None, last: date, earliest: date) -> tuple[date, ...]:
        complete = self._built(self._wanted(FEATURES + AFTER), _days(earliest, last - ONE_DAY))
        if first is not None:
            start = _within(first, earliest, last, "--from")
        else:
            start = max(complete) + ONE_DAY if complete else last
        present = events.events_by_day(self.platform.lake)
        return tuple(day for day in _days(start, last) if day in present or day == last)

    def _data_days(self, first: date | None, last: date, earliest: date) -> tuple[date, ...]:
        """Days from the first new or changed event to `last`: late events affect all later days."""
        days = _days(earliest, last)
        built = self._built(self._wanted(HISTORY), days)
        stale = [day for day in events.stale_days(self.platform.lake) if day <= last]
        existing = events.days_to_build(self.platform.lake, earliest, last)
        missing = [day for day in existing if day not in built]
        start = min([*stale, *missing[:1], first or last])
        return tuple(day for day in existing if day >= start) or (last,)

    def _built(self, assets: tuple[str, ...], days: tuple[date, ...]) -> set[date]:
        """Those of `days` for which all `assets` were materialised; none if the lake is gone."""
        import dagster as dg

        if self.platform.lake.snapshot(t.EVENTS) is None:
            return set()
        keys = [self.instance.get_materialized_partitions(dg.AssetKey(name)) for name in assets]
        return {day for day in days if all(day.isoformat() in found for found in keys)}


@cache
def _definitions() -> Any:
    """All assets, built once per process: days and assets are those of the imported modules."""
    from dagster_project.definitions import defs

    return defs()


@contextmanager
def _observed(running: _Run) -> Iterator[_Run]:
    """Note at the end, whatever it was, what Dagster and MLflow say."""
    from dagster_project.execution import run_checks, runs_under_way

    try:
        yield running
    finally:
        platform, instance = running.platform, running.instance
        # Who cannot be asked keeps what was seen before, with its time; the run's own error counts.
        with suppress(FirstchairError):
            checks = run_checks(instance, now=platform.now)
            observe(platform, checks, runs_under_way(instance))


def _days(first: date, last: date) -> tuple[date, ...]:
    return tuple(first + timedelta(days=number) for number in range((last - first).days + 1))


def _stretches(days: tuple[date, ...]) -> Iterator[tuple[date, date]]:
    """First and last day of each run of consecutive days."""
    start = days[0]
    for day, after in pairwise(days):
        if after - day > ONE_DAY:
            yield start, day
            start = after
    yield start, days[-1]


def _within(day: date, earliest: date, latest: date, option: str) -> date:
    if earliest <= day <= latest:
        return day
    raise RunError(
        f"{option} {day} lies outside the days that can be built, {earliest} to {latest}.",
        where=option,
        data="New objects were ingested; no day was built.",
        remedy="Choose a day in that range, or leave the option out.",
    )

"""Simulate a service: a history without models, then days with the lists that are published."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from firstchair.commands.living import PlatformService
from firstchair.commands.run import Progress, RunReport, run
from firstchair.databases import embedded_server_runs
from firstchair.errors import RunError
from firstchair.files import replace_file
from firstchair.lake import Lake, LakeFiles
from firstchair.lake import tables as t
from firstchair.platform.assets import FEATURES, HISTORY, LISTS, MODELS, MONITORING, SOURCES
from firstchair.platform.platform import Platform, open_platform
from firstchair.settings import Settings, load_settings
from firstchair.world import World, WorldSpec
from firstchair.world.policy import NOISE

Until = Callable[[Platform], bool]
# Told of the days in words, their stage in words, and how many of its steps are done of how many.
DayProgress = Callable[[str, str, int, int], None]
# What the assets of a day are for, in the order in which a day is built.
STAGES = {
    **dict.fromkeys(LISTS, "decision and lists"),
    **dict.fromkeys((*SOURCES, *HISTORY), "events"),
    **dict.fromkeys((*FEATURES, *MODELS), "features and models"),
    **dict.fromkeys(MONITORING, "monitoring"),
}

DEMO_SCENARIO = "better-challenger"
# Noise of the lists shown before there are models. With it 6.3 % of impressions are clicked, over
# enough users and artists for a model to learn from. With less, users would click the service's
# lists more often than those of any model that learns from it, and the first champion would look
# like a loss.
DEMO_NOISE = 2.4
# When the day's run begins, as in the daily schedule.
MORNING = time(2, 30, tzinfo=UTC)
MARK = "demo.json"
# The gate's own stages need some 20,000 users and five weeks. With these, a demo comes to a
# decision; each decision records what is shorter or wider than it should be.
SHORTENED = {
    # So that there is a challenge to see: the ranker is better from the first day on.
    "first_champion": "als",
    "min_test_users": "500",
    "stage_min_days": "4",
    "stage_max_days": "10",
    "stage_success_days": "3",
    "stage_harm_days": "2",
    "stage_segment_days": "3",
    "stage_success_users": "300",
    "stage_harm_users": "200",
    "ramp_days_small": "1",
    "listen_margin": "0.10",
    "active_margin": "0.15",
}


@dataclass(frozen=True, slots=True)
class Demo:
    """A demo: its world, and the number of days before there are models.

    noise: of the lists that the service shows on those days (`firstchair.world.policy`).
    """

    spec: WorldSpec
    history_days: int
    noise: float = NOISE


def demo_settings() -> Settings:
    """The settings with stages short enough for a demo, unless they are set.

    They also hold for the processes that the demo starts.
    """
    for name, value in SHORTENED.items():
        os.environ.setdefault(f"FIRSTCHAIR_{name.upper()}", value)
    return load_settings()


def run_demo(
    settings: Settings, demo: Demo, *, progress: DayProgress | None = None
) -> tuple[Platform, RunReport]:
    """Run the demo, unless the same one ran to its end here; return the platform after it.

    Files of an earlier demo are removed first, so that a killed demo, or one of another day, starts
    from the beginning.

    Raises:
        SettingsError: The world cannot be; nothing is written.
        RunError: The home holds data of no demo, or is in use (nothing is removed), or a run
            failed.
    """
    if (_marked(settings) or {}) == {"lived": True, "demo": _as_json(demo)}:
        last = demo.spec.start + timedelta(days=demo.spec.days - 1)
        return open_platform(settings), RunReport(demo.spec.start, last, 0, (), ())
    _clear(settings)
    # Arms depend on pseudonyms, so the seed fixes their key too; a demo has no real users.
    settings.keep_pseudonym_key(
        hashlib.sha256(f"firstchair demo {demo.spec.seed}".encode()).hexdigest()
    )
    platform = open_platform(settings)
    return platform, live(platform, demo, progress=progress)


def _clear(settings: Settings) -> None:
    """Remove what an earlier demo left in the home, where nothing else is or uses it."""
    home, elsewhere = settings.home, "Give the demo a home of its own with FIRSTCHAIR_HOME."
    if settings.database_url or settings.source_database_url:
        raise _refused(
            "a database server of its own is set",
            home,
            "Unset FIRSTCHAIR_DATABASE_URL and FIRSTCHAIR_SOURCE_DATABASE_URL for the demo.",
        )
    if _marked(settings) is None:
        if (home / "lake").exists() or LakeFiles(settings.lake_url).listed():
            raise _refused(f"{home} or its lake holds data that no demo made", home, elsewhere)
        return
    if embedded_server_runs(home):
        raise _refused(
            f"{home} is in use by another process, such as `firstchair up`",
            home,
            f"End that process. Or: {elsewhere[0].lower()}{elsewhere[1:]}",
        )
    if real := Lake(settings.lake_url).count(t.EVENTS, "not simulated"):
        raise _refused(f"{home} holds {real:,} events that no demo made", home, elsewhere)
    if home.exists():
        shutil.rmtree(home)


def live(
    platform: Platform,
    demo: Demo,
    *,
    progress: DayProgress | None = None,
    until: Until = lambda _platform: False,
    without: Collection[str] = (),
) -> RunReport:
    """Simulate the history with the seeded policy and run on it, then each day with its lists.

    Each run has the clock of the morning after its day, so that it cannot use later data. The
    simulation ends early when `until` is true after a run. `without` names assets to leave out, as
    in `run`.

    Raises:
        SettingsError: The world cannot be; nothing is written.
        RunError: A run failed; the world stays at the day before.
    """
    told = progress or (lambda _days, _stage, _done, _total: None)
    world = _world(platform, demo)
    _mark(platform.settings, demo, lived=False)
    for number in range(demo.history_days):
        day = world.step()
        told(f"days 1 to {demo.history_days}", "history", number + 1, demo.history_days)
    of_day = stages_of(day, world.lived, demo, told)
    report = run(_on_the_morning_after(platform, day), last=day, progress=of_day, without=without)
    service = PlatformService(platform, len(world.people))
    while world.lived < demo.spec.days and not until(platform):
        service.reload()
        day = world.step(service)
        morning = _on_the_morning_after(platform, day)
        of_day = stages_of(day, world.lived, demo, told)
        report = run(morning, last=day, progress=of_day, hold_models=True, without=without)
    _mark(platform.settings, demo, lived=True)
    return report


def stages_of(day: date, number: int, demo: Demo, told: DayProgress) -> Progress:
    """Progress of the day's run, by stages instead of assets."""
    named = f"day {number} of {demo.spec.days} ({day})"

    def advance(step: str, done: int, total: int) -> None:
        told(named, STAGES[step.partition(" ")[0]], done, total)

    return advance


def _world(platform: Platform, demo: Demo) -> World:
    settings = platform.settings
    accounts, truth = platform.databases.accounts, settings.home / "truth"
    return World(
        demo.spec,
        accounts=accounts,
        events_url=settings.events_url,
        truth=truth,
        noise=demo.noise,
    )


def _on_the_morning_after(platform: Platform, day: date) -> Platform:
    return replace(platform, now=datetime.combine(day + timedelta(days=1), MORNING))


def _marked(settings: Settings) -> dict[str, object] | None:
    """What the home's mark says of its demo; nothing of one that lost its content."""
    try:
        return dict(json.loads((settings.home / MARK).read_text()))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}


def _mark(settings: Settings, demo: Demo, *, lived: bool) -> None:
    text = json.dumps({"lived": lived, "demo": _as_json(demo)}, sort_keys=True)
    replace_file(settings.home / MARK, text.encode())


def _as_json(demo: Demo) -> dict[str, object]:
    return dict(json.loads(json.dumps(asdict(demo), default=str)))


def _refused(why: str, home: Path, remedy: str) -> RunError:
    return RunError(
        f"The demo cannot begin: {why}.",
        where=str(home),
        data="Nothing was removed or written.",
        remedy=remedy,
    )

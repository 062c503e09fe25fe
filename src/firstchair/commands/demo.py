"""A service that is lived: a history before there were models, then day after day what is published is shown."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import psutil

from firstchair.commands.living import PlatformService
from firstchair.commands.run import Progress, RunReport, run
from firstchair.errors import RunError
from firstchair.platform.platform import Platform, open_platform
from firstchair.settings import Settings, load_settings
from firstchair.world import World, WorldSpec
from firstchair.world.policy import NOISE

Until = Callable[[Platform], bool]

DEMO_SCENARIO = "better-challenger"
# Of what is shown before there are models: 6.3 % of it is clicked, by as many different users and artists
# as a model needs to learn from. With less, the service would be clicked more than any model that learns
# from it, and the first champion would look like a loss.
DEMO_NOISE = 2.4
# When the day's run begins, as the daily schedule has it.
MORNING = time(2, 30, tzinfo=UTC)
MARK = "demo.json"
# The gate's own stages ask for some 20,000 listeners and five weeks. These let a demo come to a decision; every
# decision records what is shorter or wider than it should be.
SHORTENED = {
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
    """What a demo lives: the world, and how many of its days pass before there are models.

    noise: of what the service shows in those days (`firstchair.world.policy`).
    """

    spec: WorldSpec
    history_days: int
    noise: float = NOISE


def demo_settings() -> Settings:
    """The settings with stages a demo can live through, where none are set; for the processes it starts too."""
    for name, value in SHORTENED.items():
        os.environ.setdefault(f"FIRSTCHAIR_{name.upper()}", value)
    return load_settings()


def run_demo(settings: Settings, demo: Demo, *, progress: Progress | None = None) -> tuple[Platform, RunReport]:
    """Live the demo, unless this very one was lived to its end here; the platform as it stands after it.

    What an earlier demo left is removed first, so that a killed one, or one of another day, is begun anew.

    Raises:
        SettingsError: The world cannot be; nothing is written.
        RunError: The home holds what is no demo's, or is in use (nothing is removed), or a run failed.
    """
    if (_told(settings) or {}) == {"lived": True, "demo": _as_json(demo)}:
        last = demo.spec.start + timedelta(days=demo.spec.days - 1)
        return open_platform(settings), RunReport(demo.spec.start, last, 0, (), ())
    _clear(settings)
    # Arms go by pseudonyms, so their key too is the seed's; no listener of a demo is anybody.
    settings.keep_pseudonym_key(hashlib.sha256(f"firstchair demo {demo.spec.seed}".encode()).hexdigest())
    platform = open_platform(settings)
    return platform, live(platform, demo, progress=progress)


def _clear(settings: Settings) -> None:
    home = settings.home
    if _told(settings) is None:
        if (home / "lake").exists() or settings.database_url or settings.source_database_url:
            raise _refused(home, "holds data that no demo made, or a database server of its own is set")
    elif _in_use(home):
        raise _refused(home, "is in use by another process, such as `firstchair up`")
    elif home.exists():
        shutil.rmtree(home)


def live(
    platform: Platform,
    demo: Demo,
    *,
    progress: Progress | None = None,
    until: Until = lambda _platform: False,
    without: Collection[str] = (),
) -> RunReport:
    """Live the history with the seeded policy and run over it, then each remaining day with what is published.

    Each run has the clock of the morning after its day, so that nothing knows what has not happened yet. After each
    it is asked whether `until` has come; the days that remain then are not lived. `without` names assets to spare,
    as in `run`.

    Raises:
        SettingsError: The world cannot be; nothing is written.
        RunError: A run failed; the world stands at the day before.
    """
    world = _world(platform, demo)
    _tell(platform.settings, demo, lived=False)
    for number in range(demo.history_days):
        day = world.step()
        if progress is not None:
            progress(f"history {day}", number + 1, demo.history_days)
    report = run(_on_the_morning_after(platform, day), last=day, progress=progress, without=without)
    service = PlatformService(platform, len(world.people))
    while world.lived < demo.spec.days and not until(platform):
        service.reload()
        day = world.step(service)
        morning = _on_the_morning_after(platform, day)
        report = run(morning, last=day, progress=progress, hold_models=True, without=without)
    _tell(platform.settings, demo, lived=True)
    return report


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


def _told(settings: Settings) -> dict[str, object] | None:
    path = settings.home / MARK
    return json.loads(path.read_text()) if path.exists() else None


def _tell(settings: Settings, demo: Demo, *, lived: bool) -> None:
    temporary = settings.home / f".{MARK}"
    temporary.write_text(json.dumps({"lived": lived, "demo": _as_json(demo)}, sort_keys=True))
    temporary.replace(settings.home / MARK)


def _as_json(demo: Demo) -> dict[str, object]:
    return dict(json.loads(json.dumps(asdict(demo), default=str)))


def _in_use(home: Path) -> bool:
    """Whether the embedded Postgres runs: it does for as long as any process of the platform."""
    pid = home / "postgres" / "postmaster.pid"
    return pid.exists() and psutil.pid_exists(int(pid.read_text().split()[0]))


def _refused(home: Path, why: str) -> RunError:
    return RunError(
        f"The demo cannot begin: {home} {why}.",
        where=str(home),
        data="Nothing was removed or written.",
        remedy="End that process, or give the demo a home of its own with FIRSTCHAIR_HOME.",
    )

"""A kill at every step of a promotion or publication: the next tick makes the state whole."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest

from firstchair.databases import Databases
from firstchair.lake import tables as t
from firstchair.models import Family
from firstchair.platform.journal import Journal
from firstchair.platform.platform import Platform
from firstchair.platform.triggers import decisions_due
from firstchair.promotion import Ledger, Registry, Stage, decide, is_followed
from firstchair.promotion.audition import Effect
from firstchair.publication import publish, publishing, serves, writing
from firstchair.publication.published import open_published
from firstchair.settings import Settings
from tests.firstchair.promotion.conftest import HOLDOUT_SHARE, NOW, SALT, Audition, Copies
from tests.firstchair.promotion.test_live import AT_HALF, LIVE, Stand, day

ARTISTS = [f"a{number:02d}" for number in range(30)]
LISTENERS = [f"{number:032x}" for number in range(20)]
# On this day the challenger is promoted; two days climbed the ramp, four decided.
PROMOTED = 6
# Everything by which a promotion changes what anybody else sees, in the order of its rooms.
STEPS = (
    (Ledger, "append"),
    (Registry, "set_stage"),
    (Registry, "set_alias"),
    (Registry, "note_followed"),
    (publishing, "write_matrices"),
    (writing, "_put"),
    (writing, "sync_folder"),
    (writing, "replace_file"),
    (publishing, "_forget_old"),
    (Path, "replace"),
)


@dataclass
class Tick:
    """A platform and its promotion sensor's tick: decide what is due, publish what follows."""

    platform: Platform

    def __call__(self) -> bool:
        """Whether anything was due."""
        p, due = self.platform, decisions_due(self.platform)
        for found in due:
            rules = replace(p.rules, live=LIVE)
            decide(
                p.lake,
                p.registry,
                p.ledger,
                as_of=found.as_of,
                now=p.now,
                rules=rules,
                salt=SALT,
                holdout_share=HOLDOUT_SHARE,
            )
            self.publish(found.as_of)
        return bool(due)

    def publish(self, as_of: object) -> None:
        """The lists of the day, to the arms of the stage under way."""
        p = self.platform
        publish(
            p.lake,
            p.registry,
            as_of=as_of,
            root=p.settings.published,
            list_length=10,
            arms=p.arms(),
        )  # type: ignore[arg-type]


def keep_lists(stand: Stand, number: int) -> None:
    """Lists of that day by each version that can be published."""
    trending = stand.a.registry.newest(day(number))[Family.TRENDING]
    versions = (stand.als, stand.xgboost, trending.version)
    rows = [
        {"user_key": user, "as_of": day(number), "model_version": version, "position": place + 1,
         "artist_id": ARTISTS[(place + 3 * turn) % len(ARTISTS)], "score": 0.5, "reason": "because"}
        for turn, version in enumerate(versions) for user in LISTENERS for place in range(10)
    ]  # fmt: skip
    stand.a.lake.replace_partition(
        t.RECOMMENDATIONS, pa.Table.from_pylist(rows, schema=t.RECOMMENDATIONS.schema), day(number)
    )


@pytest.fixture(scope="module")
def eve(
    at_half: Stand,
    copy_for_all: Copies,
    session_databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> Tick:
    """A platform that is about to promote and serves the champion."""
    stand, first = at_half.copied(copy_for_all), AT_HALF
    known = [{"artist_id": artist, "name": artist} for artist in ARTISTS]
    stand.a.lake.overwrite(t.ARTISTS, pa.Table.from_pylist(known, schema=t.ARTISTS.schema))
    keep_lists(stand, first)
    ledger, registry = stand.a.ledger, stand.a.registry
    settings = Settings(
        home=tmp_path_factory.mktemp("eve"), min_test_users=100, bootstrap_samples=200
    )
    journal = Journal(ledger.url)
    journal.migrate()
    now = NOW + timedelta(days=PROMOTED)
    eve = Tick(Platform(settings, session_databases, stand.a.lake, registry, ledger, journal, now))
    eve.publish(day(first))
    stand.live(Effect(0.25), PROMOTED - first)
    stand.a.enter(day(PROMOTED))
    keep_lists(stand, PROMOTED)
    return eve


@pytest.fixture
def on_the_eve(eve: Tick, copy_of: Copies, tmp_path: Path) -> Callable[[str], Tick]:
    """Makes a copy of that platform, as often as it is asked."""
    p = eve.platform

    def copy(name: str) -> Tick:
        a, home = copy_of(Audition(p.lake, p.registry, p.ledger, {}, p.rules)), tmp_path / name
        shutil.copytree(p.settings.published, home / "published")
        settings = Settings(home=home, min_test_users=100, bootstrap_samples=200)
        journal = Journal(a.ledger.url)
        return Tick(
            replace(
                p,
                settings=settings,
                lake=a.lake,
                registry=a.registry,
                ledger=a.ledger,
                journal=journal,
            )
        )

    return copy


def killed_before(tick: Tick, step: int) -> bool:
    """A tick killed before `step` (0-based); False if it ends by itself before that step."""
    calls = 0

    def crashing(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            nonlocal calls
            calls += 1
            if calls == step + 1:
                raise KeyboardInterrupt
            return real(*arguments, **named)

        return call

    with pytest.MonkeyPatch.context() as broken:
        for owner, name in STEPS:
            broken.setattr(owner, name, crashing(getattr(owner, name)))
        try:
            tick()
        except KeyboardInterrupt:
            return True
    return False


def test_users_of_a_role_without_lists_see_the_champions_and_it_is_not_asked_for_again(
    on_the_eve: Callable[[str], Tick],
) -> None:
    tick = on_the_eve("no-holdout")
    p = tick.platform
    trending = p.registry.newest(day(PROMOTED))[Family.TRENDING].version
    p.lake.delete(t.RECOMMENDATIONS, f"model_version = '{trending}'")

    acted, again = tick(), tick()

    served = serves(p.settings.published)
    assert served is not None
    assert (acted, again) == (True, False)
    assert "holdout" in dict(p.arms().bounds)
    assert "holdout" not in dict(served.arms)


def test_where_nothing_is_published_the_lists_of_the_day_are_as_soon_as_they_stand(
    on_the_eve: Callable[[str], Tick],
) -> None:
    tick = on_the_eve("unpublished")
    p = tick.platform
    tick()
    lists = p.lake.read(t.RECOMMENDATIONS, f"as_of = date '{day(PROMOTED)}'")
    shutil.rmtree(p.settings.published)
    p.lake.delete(t.RECOMMENDATIONS, f"as_of = '{day(PROMOTED)}'")

    without_lists = tick()
    p.lake.replace_partition(t.RECOMMENDATIONS, lists, day(PROMOTED))
    with_lists, again = tick(), tick()

    served = serves(p.settings.published)
    assert served is not None
    assert (without_lists, with_lists, again) == (False, True, False)
    assert (served.champion, served.arms) == (
        p.ledger.entries(limit=1)[0].champion_after,
        p.arms().bounds,
    )


def test_a_kill_before_every_step_of_a_promotion_ends_in_one_state_at_the_next_tick(
    on_the_eve: Callable[[str], Tick],
) -> None:
    step, killed = 0, True
    while killed:
        tick = on_the_eve(f"killed-{step}")
        p = tick.platform
        old = p.ledger.last()
        assert old is not None
        assert old.phase is not None

        killed = killed_before(tick, step)
        between = serves(p.settings.published)
        ticks = sum(1 for _ in islice(iter(tick, False), 3))

        last, served = p.ledger.last(), serves(p.settings.published)
        new, seen = old.phase.treatment, f"killed before step {step}"
        assert last is not None, seen
        assert between is not None, seen
        assert served is not None, seen
        # Whatever was served in between was one of both states, whole.
        assert between.champion in {old.champion_after, new}, seen
        assert ticks <= 1, seen
        assert (last.decision, last.champion_after, last.stage_after) == (
            "promote",
            new,
            "probation",
        ), seen
        assert [entry.champion_after for entry in p.ledger.entries()].count(new) == 1, seen
        assert is_followed(p.registry, p.ledger), seen
        assert {name: found.version for name in ("champion", "challenger", "previous")
                if (found := p.registry.alias(name)) is not None} == {
            "champion": new, "challenger": old.champion_after, "previous": old.champion_after,
        }, seen  # fmt: skip
        assert p.registry.version(new).stage == Stage.PROBATION, seen
        assert p.registry.version(str(old.champion_after)).stage == Stage.RETIRED, seen
        assert (served.champion, served.arms) == (new, p.arms().bounds), seen
        assert open_published(p.settings.published).version == served.published, seen
        assert p.ledger.verify().ok, seen
        step += 1

    assert step > len(STEPS)

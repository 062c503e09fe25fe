"""One writer at a time: the second is told who is at work, and a dead one is in nobody's way."""

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from firstchair.databases import advisory_lock, lock_backend
from firstchair.errors import RunError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.platform.journal import Journal
from firstchair.platform.work import WORK, WRITER, Work, at_work, require_lock, writing


@pytest.fixture
def url(new_database: Callable[[], sa.URL]) -> sa.URL:
    made = new_database()
    Journal(made).migrate()
    return made


@pytest.fixture
def engine(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)


def held_by_another(url: sa.URL, engine: sa.Engine) -> None:
    """Write down, as another process would, who holds the lock."""
    values = {
        "lock": WRITER,
        "backend": lock_backend(url, WRITER),
        "who": "Dagster run 1a2b3c4d of retraining",
    }
    values |= {
        "why": "because of drift",
        "process": "process 7 on elsewhere",
        "since": datetime(2026, 2, 1, tzinfo=UTC),
    }
    with engine.begin() as connection:
        connection.execute(WORK.delete())
        connection.execute(WORK.insert().values(values))


def end_session(url: sa.URL, engine: sa.Engine) -> None:
    """End the session that holds the lock, as a restart of the server or a cut connection does."""
    with engine.connect() as admin:
        admin.execute(
            sa.text("select pg_terminate_backend(:pid)"), {"pid": lock_backend(url, WRITER)}
        )


def test_who_is_at_work_is_known_for_as_long_as_it_is(url: sa.URL) -> None:
    before = at_work(url)
    with writing(url, who="firstchair run", why="all days", wait=False):
        during = at_work(url)
    after = at_work(url)

    assert (before, after) == (None, None)
    assert during is not None
    assert (during.who, during.why) == ("firstchair run", "all days")
    assert str(os.getpid()) in during.process
    assert datetime.now(UTC) - during.since < timedelta(minutes=5)


def test_a_second_writer_leaves_and_is_told_who_is_at_work_since_when_and_why(
    url: sa.URL, engine: sa.Engine
) -> None:
    with advisory_lock(url, WRITER, wait=False):
        held_by_another(url, engine)
        with pytest.raises(RunError) as refused, writing(url, who="firstchair run", wait=False):
            pass

    assert (
        "Dagster run 1a2b3c4d of retraining (process 7 on elsewhere) is at work since 2026-02-01 "
        "00:00:00 UTC: "
        "because of drift." in refused.value.what
    )


def test_one_that_waits_is_told_for_whom_and_then_goes_on(url: sa.URL, engine: sa.Engine) -> None:
    told: list[Work] = []
    waits, done = threading.Event(), threading.Event()

    def waiting(other: Work) -> None:
        told.append(other)
        waits.set()

    def second() -> None:
        with writing(url, who="Dagster run", wait=True, waits=waiting):
            done.set()

    thread = threading.Thread(target=second)
    with advisory_lock(url, WRITER, wait=False):
        held_by_another(url, engine)
        thread.start()
        waits.wait(30)
        went_beside = done.is_set()
    thread.join(30)

    assert (went_beside, done.is_set()) == (False, True)
    assert [other.why for other in told] == ["because of drift"]


def test_what_a_process_does_within_its_own_work_waits_for_nothing(url: sa.URL) -> None:
    with (
        writing(url, who="firstchair run", wait=False),
        writing(url, who="Dagster run", wait=False),
    ):
        inner = at_work(url)
    with writing(url, who="again", wait=False):
        again = at_work(url)

    assert inner is not None
    assert again is not None
    assert (inner.who, again.who) == ("firstchair run", "again")


def test_a_writer_that_was_killed_is_in_nobodys_way(url: sa.URL, engine: sa.Engine) -> None:
    with pytest.raises(RunError, match="has ended"), advisory_lock(url, WRITER, wait=False):
        held_by_another(url, engine)
        at_first = at_work(url)
        end_session(url, engine)

    assert at_first is not None
    assert at_work(url) is None
    with writing(url, who="firstchair run", wait=True):
        found = at_work(url)
    assert found is not None
    assert found.who == "firstchair run"


def test_a_writer_that_lost_its_lock_writes_nothing_beside_the_next_one(
    url: sa.URL, engine: sa.Engine, tmp_path: Path
) -> None:
    lake = Lake(str(tmp_path), before_write=partial(require_lock, url))
    rows = pa.Table.from_pylist([], schema=t.DRIFT.schema)

    with pytest.raises(RunError, match="has ended"), writing(url, who="first", wait=False):
        lake.append(t.DRIFT, rows)
        end_session(url, engine)
        with advisory_lock(url, WRITER, wait=True):  # no longer held by the first
            held_by_another(url, engine)
            for _ in range(2):
                with pytest.raises(RunError, match="another process may have begun"):
                    lake.append(t.DRIFT, rows)
            still = at_work(url)

    assert lake.version(t.DRIFT) == 1
    assert still is not None
    # What the next one wrote down of itself stays.
    with advisory_lock(url, WRITER, wait=False) as held:
        assert held is not None
        with engine.connect() as connection:
            assert connection.scalar(sa.select(WORK.c.who)) == still.who
    lake.append(t.DRIFT, rows)

"""A new pseudonym key: everything is under it in the end, wherever the work was interrupted."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from firstchair import events
from firstchair.commands import rotation
from firstchair.commands.rotation import rotate_key
from firstchair.databases import Databases
from firstchair.errors import RunError, SettingsError
from firstchair.lake import Lake, LakeFiles
from firstchair.lake import tables as t
from firstchair.outbox.segment import Segment
from firstchair.platform.journal import metadata
from firstchair.platform.platform import Platform
from firstchair.promotion import Decision, Ledger
from firstchair.publication import copy_to, not_copied
from firstchair.publication.layout import FORMAT, POINTER, VERSIONS
from firstchair.publication.writing import finish, point_to
from firstchair.settings import Settings
from firstchair.signals.signal_log import SignalLog
from firstchair.signals.today import Signal
from firstchair.sources import accounts, user_key

OLD = b"the key before"
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)
# With an account; without one, but with an object; without either, in a table and in a text.
USERS, LEFT = [f"user-{n}" for n in range(40)], "user-left"
ORPHANS = LOST, NAMED = "user-lost", "user-named"
TABLES = (t.BRONZE_EVENTS, t.EVENTS, t.QUARANTINE_EVENTS, t.USERS, t.RECOMMENDATIONS)


class Killed(BaseException):
    """Ends the process, as far as the code under test can tell."""


def event(number: int, user_id: str, **more: Any) -> dict[str, Any]:
    common = {"event_type": "login", "occurred_at": "2026-01-05T10:00:00Z", "source": "app"}
    return {"event_id": f"e-{number}", "source_seq": number, "user_id": user_id, **common, **more}


@pytest.fixture
def platform(
    tmp_path: Path, ledger: Ledger, new_database: Callable[[], sa.URL], lake: Lake
) -> Platform:
    """A home whose tables, lists and signals hold pseudonyms of the old key."""
    settings = Settings(home=tmp_path)
    settings.keep_pseudonym_key(OLD.decode())
    url = new_database()
    for metadata_of, engine in (
        (accounts.metadata, sa.create_engine(url)),
        (metadata, sa.create_engine(ledger.url)),
    ):
        metadata_of.create_all(engine)
        engine.dispose()
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(accounts.USERS.insert(), [{"user_id": user} for user in USERS])
    engine.dispose()
    put_events(settings, lake)
    put_lists(settings.published)
    log = SignalLog(settings.spool / "signals", "worker")
    signal = Signal("e-1", "play", "artist-1", "", 0, 0.0)
    log.write([(bytes.fromhex(user_key(USERS[0], OLD)), signal)], date(2026, 2, 1))
    ledger.append(decision())
    databases = Databases(accounts=url, ledger=ledger.url, mlflow=url, dagster=url)
    unused = cast(Any, None)
    return Platform(settings, databases, lake, unused, ledger, unused, NOW)


def put_events(settings: Settings, lake: Lake) -> None:
    """Events of all users, and records that are refused, as ingestion and validation leave them."""
    landing = Path(settings.events_url)
    landing.mkdir(parents=True)
    text = f"{USERS[0]} was here"
    of_users = [event(n, user, note=text) for n, user in enumerate([*USERS, LEFT])]
    refused = {"source_seq": "none"}
    for name, records in (
        ("a.jsonl", [*of_users, event(90, NAMED, **refused)]),
        ("b.jsonl", [event(95, LOST)]),
    ):
        (landing / name).write_text("\n".join(map(json.dumps, records)))
    keys = [user_key(user, OLD) for user in USERS]
    users = {name: pa.nulls(len(keys), t.USERS.schema.field(name).type) for name in ("state",)}
    users |= {field.name: pa.array([None] * len(keys), field.type) for field in t.USERS.schema} | {
        "user_key": pa.array(keys)
    }
    lake.overwrite(t.USERS, pa.table(users, schema=t.USERS.schema))
    for table in (t.ARTISTS, t.TRACKS):
        lake.overwrite(table, table.schema.empty_table())
    events.ingest(lake, events_url=settings.events_url, pseudonym_key=OLD, now=NOW)
    events.build_events(lake, date(2026, 1, 5), date(2026, 1, 5))
    (landing / "b.jsonl").unlink()
    rows = [{"user_key": key, "as_of": date(2026, 2, 1), "artist_id": "a"} for key in keys]
    lake.append(t.RECOMMENDATIONS, pa.Table.from_pylist(rows, schema=t.RECOMMENDATIONS.schema))


def put_lists(root: Path) -> None:
    """A published version with one list a user: their number in `USERS`."""
    partial = root / VERSIONS / ".partial"
    partial.mkdir(parents=True)
    keys = sorted((bytes.fromhex(user_key(user, OLD)), n) for n, user in enumerate(USERS))
    halves = np.frombuffer(b"".join(k for k, _ in keys), ">u8").reshape(-1, 2).astype(np.uint64)
    np.save(partial / "key_high.npy", halves[:, 0])
    np.save(partial / "key_low.npy", halves[:, 1])
    numbers = np.array([n for _, n in keys])
    np.save(partial / "buckets.npy", numbers.astype(np.uint16))
    for kind in ("artists", "scores", "reasons"):
        np.save(partial / f"champion.{kind}.npy", numbers.reshape(-1, 1))
    facts = {
        "format": FORMAT,
        "as_of": "2026-02-01",
        "roles": {"champion": {}},
        "folding": None,
        "arms": [["champion", 1]],
    }
    point_to(root, finish(partial, root / VERSIONS, facts))


def decision() -> Decision:
    return Decision(
        decision_id="first",
        decided_at=NOW,
        as_of=date(2026, 2, 1),
        decision="promote",
        champion_before=None,
        champion_after="1",
        challenger=None,
        stage_before=None,
        stage_after=None,
        reason_codes=(),
        reasons=(),
        evidence={"kind": "first_champion"},
        data_fingerprint="",
        actor="a test",
    )


def named(platform: Platform, key: bytes) -> dict[str, list[str]]:
    """Rows of the tables as texts, with each user's account key in the place of their pseudonym."""
    users = {user_key(user, key): user for user in (*USERS, LEFT, *ORPHANS)}
    users |= {user_key(user_key(user, OLD), key): user for user in ORPHANS}
    found = {}
    for table in TABLES:
        rows = [json.dumps(row, default=str) for row in platform.lake.read(table).to_pylist()]
        for pseudonym, user in users.items():
            rows = [row.replace(pseudonym, user) for row in rows]
        found[table.name] = sorted(rows)
    return found


def lists(platform: Platform, key: bytes) -> dict[str, int]:
    """The list of each user in the version that is pointed to."""
    root = platform.settings.published
    folder = root / VERSIONS / (root / POINTER).read_text()
    halves = np.column_stack([np.load(folder / f"key_{half}.npy") for half in ("high", "low")])
    keys = [row.tobytes().hex() for row in halves.astype(">u8")]
    numbers = np.load(folder / "champion.artists.npy")[:, 0].tolist()
    assert np.load(folder / "buckets.npy").tolist() == numbers
    assert keys == sorted(keys)
    by_key = dict(zip(keys, numbers, strict=True))
    return {user: by_key[user_key(user, key)] for user in USERS}


def roles(platform: Platform, key: bytes) -> dict[str, str]:
    arms = platform.arms().in_canary(0.5, salt=platform.settings.arm_salt)
    return {u: arms.role(arms.bucket(bytes.fromhex(user_key(u, key)))) for u in USERS}


def holding(home: Path, texts: list[str]) -> Iterator[str]:
    """Files of a home that hold one of the texts, Parquet unpacked; names of files too."""
    for path in (path for path in home.rglob("*") if path.is_file()):
        content = str(pq.read_table(path).to_pydict()) if path.suffix == ".parquet" else ""
        content += path.read_bytes().decode("latin-1") + str(path)
        if any(text in content for text in texts):
            yield str(path)


def test_a_rotation_killed_again_and_again_ends_with_everything_under_the_new_key(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, in_lists, in_arms = named(platform, OLD), lists(platform, OLD), roles(platform, OLD)
    left = 0

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*arguments: Any, **more: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return call(*arguments, **more)

        return guarded

    for owner, name in (
        (Lake, "overwrite"),
        (rotation, "vacuum"),
        (rotation, "drop_earlier_versions"),
        (rotation, "note"),
        (shutil, "rmtree"),
        (Path, "replace"),
        (Path, "rename"),
    ):
        monkeypatch.setattr(owner, name, dying(getattr(owner, name)))

    kills, report = 0, None
    while report is None:
        left = 22 + 2 * kills  # what is done already costs a call to each table's vacuum
        try:
            report = rotate_key(platform)
        except Killed:
            kills += 1
            with pytest.raises(SettingsError, match="firstchair rotate-key"):
                platform.settings.secret_pseudonym_key()

    monkeypatch.undo()
    new = platform.settings.secret_pseudonym_key()
    assert kills >= 5
    assert (report.users, report.orphans) == (len(USERS) + 3, 2)
    assert named(platform, new) == before
    assert lists(platform, new) == in_lists
    assert roles(platform, new) == in_arms
    old_keys = [user_key(user, OLD) for user in (*USERS, LEFT, *ORPHANS)] + [OLD.decode()]
    assert list(holding(platform.settings.home, old_keys)) == []
    entries = platform.ledger.entries()
    assert [entry.reason_codes for entry in entries] == [("key_rotated",), ()]
    assert new.decode() not in str(entries[0])
    assert platform.ledger.verify().ok
    signals = next((platform.settings.spool / "signals").iterdir()).read_text()
    assert json.loads(signals)[0] == user_key(USERS[0], new)


def test_the_bucket_of_the_lists_has_the_new_pseudonyms_alone(
    platform: Platform, bucket: str
) -> None:
    root = platform.settings.published
    copy_to(bucket, root)
    old = (root / POINTER).read_text()

    settings = platform.settings.model_copy(update={"published_url": bucket})
    rotate_key(replace(platform, settings=settings))

    assert not not_copied(bucket, root)
    assert not [file.name for file in LakeFiles(bucket).listed() if old in file.name]


def test_login_workers_that_run_keep_the_key_as_it_is(platform: Platform) -> None:
    platform.settings.spool.mkdir(exist_ok=True)
    segment = Segment(platform.settings.spool / "api-1", 4096)

    with pytest.raises(RunError, match="Login workers are running"):
        rotate_key(platform)

    segment.end()
    assert platform.settings.secret_pseudonym_key() == OLD
    assert named(platform, OLD)["silver/users"]


def test_a_setting_with_the_key_before_a_rotation_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, pseudonym_key=cast(Any, OLD.decode()))
    assert settings.secret_pseudonym_key() == OLD
    (tmp_path / "new").write_text("another")
    settings.replace_pseudonym_key(tmp_path / "new")

    with pytest.raises(SettingsError, match="is another key"):
        settings.secret_pseudonym_key()
    assert Settings(home=tmp_path).secret_pseudonym_key() == b"another"

"""A user is forgotten: nothing of ours holds them, everybody else keeps what they had."""

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from click.testing import Result
from typer.testing import CliRunner

from firstchair import events
from firstchair.cli import app
from firstchair.databases import Databases
from firstchair.erasure import forget, forget_users, verify
from firstchair.errors import WriterBusyError
from firstchair.lake import Lake, LakeFiles
from firstchair.lake import tables as t
from firstchair.platform.journal import Journal
from firstchair.platform.platform import Platform
from firstchair.platform.triggers import lists_to_renew
from firstchair.platform.work import writing
from firstchair.privacy import user_key
from firstchair.privacy.places import COLUMN
from firstchair.promotion import Ledger, replay_all
from firstchair.promotion.artifact_paths import follow_home
from firstchair.promotion.registry import NAME
from firstchair.publication import copy_to, not_copied
from firstchair.publication.layout import MANIFEST, VERSIONS
from firstchair.publication.published import Published, current, open_published
from firstchair.settings import Settings
from firstchair.sources import accounts
from tests.firstchair.events.conftest import make_event
from tests.firstchair.promotion.conftest import registry_at
from tests.firstchair.serving.conftest import (
    ARTISTS,
    KEY,
    USERS,
    Stocked,
    publish_lists,
    put_in_matrix,
)

LEAVES, STAYS = "user-1", "user-2"
# Who are forgotten by one call.
TOGETHER = ("user-6", "user-7")
# Who came after the models were fitted.
LATE = ("user-3", "user-4")
EMAIL = "one@example.org"
NOW = datetime(2026, 2, 1, 12, tzinfo=UTC)


class KilledError(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def home(
    stocked: Stocked,
    new_session_database: Callable[..., sa.URL],
    ledger_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Platform:
    """A platform with events, lists, spooled lines, a report and Dagster's texts of users.

    Each test forgets users of its own.
    """
    folder = tmp_path_factory.mktemp("forget")
    shutil.copytree(stocked.lake.url, folder / "home" / "lake")
    settings = Settings(home=folder / "home", pseudonym_key=KEY.decode())
    lake = Lake(settings.lake_url)
    put_events(Path(settings.events_url))
    know(lake)
    events.ingest(lake, events_url=settings.events_url, pseudonym_key=KEY, now=NOW)
    events.build_events(lake, *events.event_days(lake) or ())
    put_in_matrix(lake, USERS)
    mlflow = new_session_database(str(sa.make_url(stocked.registry.tracking_uri).database))
    shutil.copytree(stocked.registry.artifact_root, folder / "ml")
    follow_home(mlflow, NAME, folder / "ml")
    registry = registry_at(mlflow, folder / "ml")
    publish_lists(lake, registry, USERS, settings.published)
    put_files(settings.home)
    ledger = new_session_database(ledger_template)
    databases = Databases(new_session_database(), ledger, mlflow, new_session_database())
    put_rows(databases)
    journal = Journal(ledger)
    journal.migrate()
    return Platform(settings, databases, lake, registry, Ledger(ledger), journal, NOW)


def put_events(folder: Path) -> None:
    day = {"occurred_at": "2026-01-30T10:00:00Z", "artist_id": "a001"}
    of = {LEAVES: range(4), STAYS: range(4, 8)}
    lines = [
        make_event(number, user_id=user, **day)
        for user, numbers in of.items()
        for number in numbers
    ]
    lines.append(make_event(8, user_id=LEAVES, **day, position="first"))
    lines.append(make_event(9, user_id=STAYS, **day))
    lines += [make_event(10 + n, user_id=user, **day) for n, user in enumerate(TOGETHER)]
    late = {"occurred_at": "2026-02-01T01:00:00Z", "artist_id": "a002"}
    lines += [make_event(12 + n, user_id=user, **late) for n, user in enumerate(LATE)]
    folder.mkdir(parents=True)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "day.jsonl.gz").write_bytes(gzip.compress(text.encode()))


def know(lake: Lake) -> None:
    people = [
        {COLUMN: user_key(user, KEY), "created_at": NOW}
        | dict.fromkeys(("age_group", "gender", "country", "state", "city"), "unknown")
        for user in USERS
    ]
    lake.overwrite(t.USERS, pa.Table.from_pylist(people, schema=t.USERS.schema))
    lake.overwrite(t.TRACKS, t.TRACKS.schema.empty_table())


def put_files(folder: Path) -> None:
    for name, text in {
        "spool/api-dead-000000001.spool": "".join(
            json.dumps({"event_id": f"e{user}", "user_id": user}) + "\n" for user in (LEAVES, STAYS)
        ),
        "spool/signals/2026-02-01-api-dead.signals": "".join(
            json.dumps([user_key(user, KEY), "e", "click", "a001", "", 0, 1.0]) + "\n"
            for user in (LEAVES, STAYS)
        ),
        "reports/data_quality/2026-01-30.html": f"<td>{user_key(LEAVES, KEY)}</td>",
        "logs/api.log": f"no list for {LEAVES}, {EMAIL}; {STAYS} and user-12 are well\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def put_rows(databases: Databases) -> None:
    engine = sa.create_engine(databases.accounts, poolclass=sa.pool.NullPool)
    accounts.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(accounts.USERS.insert(), {"user_id": LEAVES, "email": EMAIL})
    dagster = sa.create_engine(databases.dagster, poolclass=sa.pool.NullPool)
    with dagster.begin() as connection:
        connection.execute(sa.text("create table event_logs (id int, event text, body jsonb)"))
        for number, user in enumerate((LEAVES, STAYS)):
            connection.execute(
                sa.text("insert into event_logs values (:n, :text, cast(:body as jsonb))"),
                {"n": number, "text": f"of {user}", "body": json.dumps({"k": user_key(user, KEY)})},
            )


def of_others(lake: Lake, user_id: str) -> dict[str, list[str]]:
    """Every row of every table with pseudonyms that is not the user's, as text."""
    tables = [table for table in t.ALL_TABLES if COLUMN in table.schema.names]
    others = f"{COLUMN} <> '{user_key(user_id, KEY)}'"
    return {one.name: sorted(map(str, lake.read(one, others).to_pylist())) for one in tables}


def lists_of(published: Published, users: list[str]) -> dict[str, list[str]]:
    """The champion's published artists of each user."""
    found = {}
    for user in users:
        row = published.row(bytes.fromhex(user_key(user, KEY)))
        numbers, _, _ = published.columns["champion"].entries(
            row * published.length, published.length
        )
        shown = [] if row < 0 else [number for number in numbers if number >= 0]
        found[user] = [published.artist_ids[number] for number in shown]
    return found


def test_nothing_of_ours_holds_the_user_and_others_keep_what_they_had(home: Platform) -> None:
    root = home.settings.published
    rows, lists = of_others(home.lake, LEAVES), lists_of(open_published(root), USERS)
    counted, aliases = events.reconcile(home.lake), home.registry.pointers().aliases
    before = verify(home, LEAVES)
    assert {place.kind for place in before.left} == {"home", "lake", "database"}
    assert not before.ok

    report = forget(home, LEAVES)
    after = verify(home, LEAVES)

    assert after.ok, after
    assert {place.name for place in after.sources} == {
        "landing/events/day.jsonl.gz",
        "accounts.users (1 rows)",
    }
    assert (report.spooled, report.signals, report.landing) == (1, 1, ("day.jsonl.gz",))
    assert report.databases == {"dagster.event_logs": 2}
    assert of_others(home.lake, LEAVES) == rows
    assert lists_of(open_published(root), USERS) == lists | {LEAVES: []}
    spooled, log = home.settings.spool / "api-dead-000000001.spool", home.settings.home / "logs"
    assert [json.loads(line)["user_id"] for line in spooled.read_text().splitlines()] == [STAYS]
    assert f"{STAYS} and user-12 are well" in (log / "api.log").read_text()

    counts = events.reconcile(home.lake)
    assert counts.balanced
    assert counts.gaps == {"app": 0}
    assert counts.accepted == counted.accepted - 4
    erased = counts.quarantined["unknown_user"] - counted.quarantined.get("unknown_user", 0)
    assert (erased, counted.quarantined["bad_type"]) == (5, 1)
    assert "bad_type" not in counts.quarantined

    # Models are fitted again in their place.
    assert [(one.family, one.exact) for one in report.refits] == [
        ("als", False),
        ("xgboost", False),
        ("trending", True),
    ]
    assert home.registry.pointers().aliases == aliases
    found = home.registry.versions()
    assert {one.data_fingerprint for one in found} == {one.after for one in report.refits}
    assert [one.version for one in found] == ["1", "2", "3"]
    assert list(home.registry.load(found[0]).artist_ids) == ARTISTS


def test_the_bucket_of_the_lists_loses_the_user_and_is_read_for_the_proof(
    home: Platform, bucket: str
) -> None:
    user = "user-5"
    kept = home.settings.model_copy(update={"published_url": bucket})
    platform, root = replace(home, settings=kept), home.settings.published
    copy_to(bucket, root)
    assert "published" in {place.kind for place in verify(platform, user).left}

    forget(platform, user)
    after = verify(platform, user)

    assert after.ok, after
    assert after.files["published"] > 10
    assert not not_copied(bucket, root)
    assert lists_to_renew(platform) is None

    LakeFiles(bucket).remove(f"{VERSIONS}/{current(root)}/{MANIFEST}")
    due = lists_to_renew(platform)
    assert due is not None
    assert due.why.startswith(f"not-copied-{current(root)}-")


STEPS = (
    "firstchair.lake.delta.Lake.delete",
    "firstchair.erasure.tables.drop_earlier_versions",
    "firstchair.erasure.lists.publish_day",
    "firstchair.erasure.erase._finish",
)


def test_killed_at_every_step_and_started_again_it_ends_as_if_it_had_not_been(
    home: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KilledError

    user, decided = LATE[0], len(home.ledger.entries())
    rows, counted = of_others(home.lake, user), events.reconcile(home.lake)
    for step in STEPS:
        with monkeypatch.context() as patched, pytest.raises(KilledError):
            patched.setattr(step, killed)
            forget(home, user)
        assert home.tombstones.holds(user)

    forget(home, user)

    assert verify(home, user).ok
    assert of_others(home.lake, user) == rows
    counts = events.reconcile(home.lake)
    assert (counts.balanced, counts.accepted) == (True, counted.accepted - 1)
    assert len(home.ledger.entries()) == decided + 1


def test_the_command_says_it_once_in_the_ledger_and_not_who_it_was(
    home: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, place = LATE[1], 13
    path = Path(home.settings.events_url) / "day.jsonl.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines()
    monkeypatch.setattr("firstchair.platform.open_platform", lambda: home)

    proofs = [run("--verify", user)]
    first = json.loads(run(user, "--json").stdout)
    again = json.loads(run(user, "--rewrite-landing", "--json").stdout)
    proofs.append(run("--verify", user, "--json"))

    assert [proof.exit_code for proof in proofs] == [1, 0]
    assert json.loads(proofs[1].stdout)["left"] == []
    entry = home.ledger.entries()[0]
    assert (first["already"], again["already"]) == (False, True)
    assert (entry.decision, entry.reason_codes) == ("hold", ("user_forgotten",))
    assert first["ledger_entry"] == again["ledger_entry"] == entry.sequence
    assert user not in str(entry)
    assert user_key(user, KEY) not in str(entry)
    assert home.ledger.verify().ok
    assert replay_all(home.lake, home.registry, home.ledger).different == 0

    # Others keep the lines they were on, and the object counts as read.
    assert (again["landing"], again["rewritten"]) == ([], ["day.jsonl.gz"])
    assert gzip.decompress(path.read_bytes()).splitlines() == lines[:place]
    read = events.ingest(home.lake, events_url=home.settings.events_url, pseudonym_key=KEY, now=NOW)
    assert (read.read, read.changed) == (0, ())


def test_for_several_users_models_are_fitted_and_lists_published_once(
    home: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: Any, **__: Any) -> None:
        raise KilledError

    root, decided = home.settings.published, len(home.ledger.entries())
    lists = lists_of(open_published(root), USERS)
    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr("firstchair.erasure.lists.publish_day", killed)
        forget_users(home, TOGETHER)
    monkeypatch.setattr("firstchair.platform.open_platform", lambda: home)
    monkeypatch.setattr("firstchair.erasure.erase.refit", killed)  # it was done

    found = json.loads(run(*TOGETHER, "--json").stdout)
    proof = run("--verify", *TOGETHER, "--json")

    assert proof.exit_code == 0
    assert [one["left"] for one in json.loads(proof.stdout)] == [[], []]
    assert [one["landing"] for one in found] == [["day.jsonl.gz"]] * 2
    assert [one["family"] for one in found[0]["refits"]] == ["als", "xgboost", "trending"]
    assert found[0]["refits"] == found[1]["refits"]
    assert {one["published"] for one in found} == {current(root)}
    assert lists_of(open_published(root), USERS) == lists | {user: [] for user in TOGETHER}
    entries = home.ledger.entries()
    assert len(entries) == decided + 2
    assert {one["ledger_entry"] for one in found} == {entry.sequence for entry in entries[:2]}
    assert run("--verify", TOGETHER[0], STAYS).exit_code == 1


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["forget", *arguments])


def test_bad_usage_ends_with_2() -> None:
    assert run("").exit_code == 2
    assert run("--verify", "user-1", "--rewrite-landing").exit_code == 2


def test_while_another_writes_nothing_is_begun(home: Platform) -> None:
    named = home.databases.ledger.update_query_dict({"application_name": "another process"})
    other = replace(home, databases=replace(home.databases, ledger=named))

    with writing(home.databases.ledger, who="a run", wait=False), pytest.raises(WriterBusyError):
        forget(other, STAYS)
    assert not home.tombstones.holds(STAYS)


def test_an_artist_with_the_same_key_keeps_it(home: Platform) -> None:
    artist = {"artist_id": STAYS, "name": "Namesake"}
    home.lake.append(t.ARTISTS, pa.Table.from_pylist([artist], schema=t.ARTISTS.schema))
    page = home.settings.home / "reports" / "page.html"
    page.write_text(f'artist {STAYS}; "user_id": "{STAYS}"')

    forget(home, STAYS)
    after = verify(home, STAYS)

    assert (after.ok, after.by_field) == (True, True), after
    assert home.lake.count(t.ARTISTS, f"artist_id = '{STAYS}'") == 1
    assert page.read_text() == f'artist {STAYS}; "user_id": "xxxxxx"'

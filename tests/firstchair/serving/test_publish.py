"""Publishing: whole versions, one pointer, and what is torn is never served."""

import errno
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from firstchair.errors import ModelError
from firstchair.hosts.diskless import Parcels
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.login.logins import Logins
from firstchair.promotion import Registry, Stage
from firstchair.publication import damage, publish, publish_day, serves, to_serve
from firstchair.publication.published import current, open_published
from firstchair.publication.publishing import KEPT_VERSIONS
from firstchair.publication.writing import point_to
from firstchair.sources import user_key
from tests.firstchair.serving.conftest import (
    ALL_CHAMPION,
    AS_OF,
    CHALLENGER,
    CHAMPION,
    KEY,
    LENGTH,
    TRENDING,
    shifted,
)

PutOut = Callable[..., Path]


def first_artist(root: Path, row: int = 0) -> str:
    published = open_published(root)
    return published.artist_ids[published.columns["champion"].artists[row * published.length]]


def test_every_list_is_the_tables_own(put_copy: PutOut, users: list[str]) -> None:
    published = open_published(put_copy())
    columns = published.columns["champion"]

    rows = [
        columns.artists[row * LENGTH : (row + 1) * LENGTH].tolist()
        for row in range(published.users)
    ]

    assert published.users == len(users)
    assert sorted([published.artist_ids[a] for a in row] for row in rows) == sorted(
        map(shifted, range(len(users)))
    )
    assert columns.scores[:3].tolist() == [9_000, 8_900, 8_800]
    reason = columns.reasons[0]
    text = published.reason_text[
        published.reason_offsets[reason] : published.reason_offsets[reason + 1]
    ]
    assert json.loads(text).startswith("because you play a")


def test_publishing_the_same_again_changes_nothing(put_out: PutOut) -> None:
    before = current(put_out())

    root = put_out()

    assert current(root) == before
    assert len(list((root / "versions").iterdir())) == 1


@pytest.mark.parametrize(
    "file", ["champion.artists.npy", "key_high.npy", "reasons.json", "manifest.json"]
)
@pytest.mark.parametrize("harm", ["torn", "flipped", "gone"])
def test_a_harmed_version_is_refused_and_the_last_good_one_is_served(
    put_copy: PutOut, file: str, harm: str
) -> None:
    good = open_published(put_copy()).version
    root = put_copy(turn=1)
    path = root / "versions" / str(current(root)) / file
    content = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        middle = len(content) // 2
        flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes(content[:middle] if harm == "torn" else flipped)

    served = open_published(root)
    assert served.version == good
    assert damage(root) == served.refused[0]


def test_a_harmed_version_is_written_again_when_it_is_next_published(put_out: PutOut) -> None:
    root = put_out()
    version, before = current(root), to_serve(root)
    (root / "versions" / str(version) / "key_high.npy").write_bytes(b"harmed")
    assert damage(root) is not None

    put_out()

    assert damage(root) is None
    assert open_published(root).version == version
    assert to_serve(root) != before  # so workers read it again


@pytest.mark.parametrize("pointer", [b"\xff\xfe", b"", b"../versions", b"a\0b", None])
def test_whatever_the_pointer_holds_the_newest_whole_version_is_served(
    put_copy: PutOut, pointer: bytes | None
) -> None:
    root = put_copy()
    version = open_published(root).version
    (root / "CURRENT").unlink()
    if pointer is None:
        (root / "CURRENT").mkdir()
    else:
        (root / "CURRENT").write_bytes(pointer)

    assert open_published(root).version == version
    assert open_published(root).refused == ("CURRENT: it names no version",) == (damage(root),)
    assert serves(root) is None


def test_a_version_that_was_removed_is_not_served_again_where_the_newest_lists_are_corrupt(
    put_out: PutOut, platform: Registry
) -> None:
    good = open_published(put_out()).version
    platform.set_alias("champion", CHALLENGER)
    removed = open_published(put_out(turn=1)).version
    platform.set_alias("champion", CHAMPION)
    platform.set_stage(CHALLENGER, Stage.ROLLED_BACK)
    root = put_out(turn=2)
    (root / "versions" / str(current(root)) / "buckets.npy").unlink()

    assert open_published(root).version == good
    assert not (root / "versions" / removed).exists()


def test_lists_in_which_a_removed_version_is_only_drawn_from_by_chance_stay(
    put_out: PutOut, platform: Registry
) -> None:
    first = open_published(put_out()).version
    platform.set_stage(CHALLENGER, Stage.REJECTED)

    root = put_out(turn=1)

    assert (root / "versions" / first).exists()


def test_unknown_users_are_answered_on_a_day_on_which_trending_has_no_lists(
    put_out: PutOut, platform: Registry, lake: Lake
) -> None:
    root = put_out()
    lake.delete(t.RECOMMENDATIONS, f"model_version = '{TRENDING}'")
    publish(lake, platform, as_of=AS_OF, root=root, list_length=LENGTH, arms=ALL_CHAMPION)
    published = open_published(root)
    logins = Logins(published, Parcels("test"), pseudonym_key=KEY, seed=1)

    answer = json.loads(logins.login("nobody", 5, 0.0))

    assert "holdout" not in published.roles
    assert answer["model"] == {"name": "trending", "version": TRENDING, "role": "cold_start"}
    assert len(answer["items"]) == 5


def test_what_is_mapped_stays_as_it_was_while_others_are_published(put_out: PutOut) -> None:
    root = put_out()
    mapped = open_published(root)
    before = mapped.columns["champion"].artists.tolist()

    for turn in range(1, KEPT_VERSIONS + 3):
        put_out(turn=turn)

    assert mapped.columns["champion"].artists.tolist() == before
    assert len(list((root / "versions").iterdir())) == KEPT_VERSIONS
    assert open_published(root).version != mapped.version


def test_an_earlier_version_is_served_again_at_once(put_copy: PutOut) -> None:
    old = str(current(put_copy()))
    root = put_copy(turn=1)

    point_to(root, old)

    assert open_published(root).version == old


def test_a_crash_before_the_pointer_moves_leaves_what_is_served(
    put_out: PutOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = current(put_out())

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", crash)
        with pytest.raises(KeyboardInterrupt):
            put_out(turn=1)
    root = put_out(turn=1)

    assert current(root) != before
    assert open_published(root).version == current(root)


def test_a_publication_that_finds_the_disk_full_leaves_no_files(
    put_out: PutOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = put_out()
    before = sorted((root / "versions").iterdir())

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk, pytest.raises(OSError, match="No space"):
        disk.setattr(np, "save", full)
        put_out(turn=1)

    assert sorted((root / "versions").iterdir()) == before


def test_what_a_killed_publication_left_is_gone_with_the_next(put_out: PutOut) -> None:
    left = put_out() / "versions" / ".2026-01-31.4711"
    left.mkdir()
    (left / "key_high.npy").write_bytes(b"half")

    put_out(turn=1)

    assert not left.exists()


def test_nothing_is_published_without_a_champions_lists(
    lake: Lake, platform: Registry, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="no lists of the champion"):
        publish(
            lake, platform, as_of=AS_OF, root=tmp_path / "p", list_length=LENGTH, arms=ALL_CHAMPION
        )
    with pytest.raises(ModelError, match="No whole published version"):
        open_published(tmp_path / "p")


@pytest.fixture
def merged(put_out_matrix: PutOut, lake: Lake, users: list[str]) -> Path:
    """Published lists and a matrix that hold a003, which the catalogue then merged into a005."""
    root = put_out_matrix()
    keys = [user_key(user, KEY) for user in users]
    at = datetime.combine(AS_OF - timedelta(days=3), time(12), tzinfo=UTC)
    follows = [
        {"event_id": f"e{n}", "event_type": "follow", "occurred_at": at, "event_date": at.date()}
        | {"user_key": key, "source": "app", "source_seq": n, "simulated": False}
        | {"artist_id": "a003"}
        for n, key in enumerate(keys)
    ]
    catalogue = lake.read(t.ARTISTS, "artist_id <> 'a003'")
    redirect = {"artist_id": "a003", "stated": "a005", "redirect_to": "a005", "fault": None}
    known = [{"user_key": key, "created_at": at, "country": "CL"} for key in keys]
    for table, rows in ((t.USERS, known), (t.EVENTS, follows), (t.ARTIST_REDIRECTS, [redirect])):
        lake.overwrite(table, pa.Table.from_pylist(rows, schema=table.schema))
    lake.overwrite(t.ARTISTS, catalogue)
    return root


def test_a_day_that_is_built_again_takes_no_user_back_to_its_lists(
    put_copy: PutOut, platform: Registry, lake: Lake
) -> None:
    root = put_copy()
    before = AS_OF - timedelta(days=3)

    # No list of that day is there, and the champion was fitted after it.
    report = publish_day(
        lake, platform, as_of=before, root=root, list_length=LENGTH, arms=ALL_CHAMPION
    )

    served = serves(root)
    assert served is not None and served.as_of == report.as_of == AS_OF
    assert report.published == served.published


def test_a_day_without_lists_yet_is_served_by_those_of_the_day_before_as_the_arms_are_now(
    put_out: PutOut, platform: Registry, lake: Lake
) -> None:
    root = put_out()
    arms = ALL_CHAMPION.in_canary(0.5, salt="canary")

    report = publish_day(
        lake,
        platform,
        as_of=AS_OF + timedelta(days=1),
        root=root,
        list_length=LENGTH,
        arms=arms,
    )

    served = serves(root)
    assert served is not None and served.as_of == report.as_of == AS_OF
    assert served.arms == arms.bounds


def test_a_merged_artist_is_in_no_list_that_is_published_afterwards(
    merged: Path, platform: Registry, lake: Lake
) -> None:
    assert "a003" in open_published(merged).artist_ids

    publish_day(lake, platform, as_of=AS_OF, root=merged, list_length=LENGTH, arms=ALL_CHAMPION)

    published = open_published(merged)
    lists = [
        columns.artists[row * LENGTH : (row + 1) * LENGTH].tolist()
        for columns in published.columns.values()
        for row in range(published.users)
    ]
    assert "a003" not in published.artist_ids
    assert all(len(set(listed)) == LENGTH and min(listed) >= 0 for listed in lists)
    assert lake.count(t.RECOMMENDATIONS, "artist_id = 'a003'") == 0


def test_what_a_user_did_with_a_merged_artist_is_in_their_row_and_counts_today(
    merged: Path, platform: Registry, lake: Lake
) -> None:
    publish_day(lake, platform, as_of=AS_OF, root=merged, list_length=LENGTH, arms=ALL_CHAMPION)

    published = open_published(merged)
    target = published.number_of("a005")
    assert published.folding is not None
    assert published.folding.row(0).liked.tolist() == [target]
    assert published.number_of("a003") == target != -1

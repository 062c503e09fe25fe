"""What a worker learns: from events it accepts, from its fellow workers, from the event store."""

import gzip
from pathlib import Path
from typing import Any

import orjson
import pytest

from firstchair.login.signal_feed import SignalFeed
from firstchair.sources import user_key
from tests.firstchair.serving.conftest import KEY
from tests.firstchair.serving.test_today import CLICK, at

NOON = at("2026-02-01T12:00")
ANNA = bytes.fromhex(user_key("anna", KEY))


def signal_feed(root: Path, source: str) -> SignalFeed:
    return SignalFeed(root / "signals", source, events_url=str(root / "events"), pseudonym_key=KEY)


def lines(*events: dict[str, Any]) -> list[bytes]:
    return [orjson.dumps(event) + b"\n" for event in events]


def bring(root: Path, *events: dict[str, Any]) -> None:
    path = root / "events" / "api" / "api-other-000000000000.jsonl.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(gzip.compress(b"".join(lines(*events))))


def known(worker: SignalFeed) -> list[str]:
    return [signal.event_id for signals in worker.today.users.values() for signal in signals]


def test_what_one_worker_accepts_another_knows_at_its_next_step(tmp_path: Path) -> None:
    one, other = signal_feed(tmp_path, "one"), signal_feed(tmp_path, "other")
    one.take(lines(CLICK), NOON)
    other.step(NOON)
    first = known(other)

    one.take(lines(CLICK | {"event_id": "e2"}), NOON)
    other.step(NOON)

    assert (first, known(other), known(one)) == (["e1"], ["e1", "e2"], ["e1", "e2"])
    assert other.today.users[ANNA] == one.today.users[ANNA]


def test_a_replay_counts_once_in_every_worker(tmp_path: Path) -> None:
    one, other = signal_feed(tmp_path, "one"), signal_feed(tmp_path, "other")
    bring(tmp_path, CLICK)

    for worker in (one, other, one):
        worker.take(lines(CLICK, CLICK), NOON)
        worker.step(NOON)
        other.step(NOON)

    assert (known(one), known(other)) == (["e1"], ["e1"])


def test_no_account_key_is_written(tmp_path: Path) -> None:
    signal_feed(tmp_path, "one").take(lines(CLICK), NOON)

    [path] = (tmp_path / "signals").iterdir()
    assert b"anna" not in path.read_bytes()
    assert path.stat().st_mode & 0o077 == 0


def test_a_worker_that_starts_learns_the_day_so_far(tmp_path: Path) -> None:
    signal_feed(tmp_path, "killed").take(lines(CLICK), NOON)
    impression = CLICK | {"event_id": "e8", "event_type": "impression"}
    old = CLICK | {"event_id": "e9", "occurred_at": "2026-01-30T23:59:59Z"}
    bring(tmp_path, CLICK | {"event_id": "e2"}, impression, old)

    started = signal_feed(tmp_path, "started")
    started.step(NOON)

    assert sorted(known(started)) == ["e1", "e2"]


def test_a_store_that_is_away_at_the_start_is_asked_again(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    worker = signal_feed(tmp_path, "one")
    bring(tmp_path, CLICK)
    path = next((tmp_path / "events" / "api").iterdir())
    content = path.read_bytes()
    path.unlink()
    path.symlink_to(tmp_path / "nowhere")

    worker.step(NOON)
    path.unlink()
    path.write_bytes(content)
    worker.step(NOON)

    assert known(worker) == ["e1"]


def test_a_half_written_line_is_read_when_it_is_whole_and_a_torn_one_never(tmp_path: Path) -> None:
    one, other = signal_feed(tmp_path, "one"), signal_feed(tmp_path, "other")
    one.take(lines(CLICK, CLICK | {"event_id": "e2"}), NOON)
    [path] = (tmp_path / "signals").iterdir()
    whole = path.read_bytes()
    path.write_bytes(b'["00\n' + whole[:-9])

    other.step(NOON)
    before = known(other)
    path.write_bytes(b'["00\n' + whole)
    other.step(NOON)

    assert (before, known(other)) == (["e1"], ["e1", "e2"])


@pytest.mark.parametrize(("now", "left"), [("2026-02-02T00:30", ["e1"]), ("2026-02-03T00:00", [])])
def test_the_second_midnight_forgets_in_memory_and_on_disk(
    tmp_path: Path, now: str, left: list[str]
) -> None:
    worker = signal_feed(tmp_path, "one")
    worker.take(lines(CLICK), NOON)

    worker.step(at(now))

    assert known(worker) == left
    assert len(list((tmp_path / "signals").iterdir())) == len(left)


def test_a_worker_that_cannot_tell_the_others_still_knows_itself(tmp_path: Path) -> None:
    (tmp_path / "signals").write_bytes(b"a file where the folder should be")
    worker = signal_feed(tmp_path, "one")

    worker.take(lines(CLICK), NOON)

    assert known(worker) == ["e1"]

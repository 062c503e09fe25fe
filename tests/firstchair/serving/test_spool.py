"""The spool: what was accepted survives a kill, and comes to the store once."""

import errno
import fcntl
import gzip
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firstchair.outbox import spool as spool_module
from firstchair.outbox.segment import SUFFIX
from firstchair.outbox.spool import Spool
from firstchair.outbox.spooled import deliver, undelivered, unreadable_bytes

WRITER = """
import sys, time
from pathlib import Path
from firstchair.outbox.spool import Spool
spool = Spool(Path(sys.argv[1])); spool.start()
for number in range(1_000_000):
    spool.append(b'{"event_id":"e%d"}\\n' % number, 1)
    print(number, flush=True)
"""


def delivered(root: Path) -> list[dict[str, Any]]:
    files = sorted((root / "events" / "api").glob("*.jsonl.gz"))
    return [
        json.loads(line)
        for path in files
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def bring(root: Path) -> int:
    return deliver(root / "spool", str(root / "events"))


def test_what_a_killed_process_had_accepted_is_delivered(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "spool")], stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        accepted = [int(writer.stdout.readline()) for _ in range(5_000)]
        writer.send_signal(signal.SIGKILL)

    bring(tmp_path)

    found = [event["event_id"] for event in delivered(tmp_path)]
    assert found[: len(accepted)] == [f"e{number}" for number in accepted]
    assert len(set(found)) == len(found)


def test_a_segment_that_is_written_to_is_left_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.append(b'{"event_id":"a"}\n', 1)

    assert bring(tmp_path) == 0
    spool.close()
    assert bring(tmp_path) == 1
    assert delivered(tmp_path) == [{"event_id": "a"}]


def test_a_torn_last_line_was_accepted_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "api-dead-000000000000.spool").write_bytes(b'{"event_id":"a"}\n{"event_')

    bring(tmp_path)

    assert delivered(tmp_path) == [{"event_id": "a"}]


def test_a_crash_after_the_object_was_written_delivers_the_same_object_again(
    tmp_path: Path,
) -> None:
    segment = tmp_path / "spool" / "api-dead-000000000000.spool"
    segment.parent.mkdir()
    segment.write_bytes(b'{"event_id":"a"}\n')
    bring(tmp_path)
    before = {path: path.read_bytes() for path in (tmp_path / "events").rglob("*.gz")}
    segment.write_bytes(b'{"event_id":"a"}\n')

    bring(tmp_path)

    assert {path: path.read_bytes() for path in (tmp_path / "events").rglob("*.gz")} == before
    assert not segment.exists()


def test_nothing_is_left_of_a_process_that_accepted_nothing(tmp_path: Path) -> None:
    Spool(tmp_path / "spool").close()

    assert bring(tmp_path) == 0
    assert os.listdir(tmp_path / "spool") == []


def test_posted_events_alone_turn_the_segments_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "SEGMENT_SECONDS", 0.0)
    spool = Spool(tmp_path / "spool")
    spool.start()

    for number in range(5):
        synced = threading.Event()
        spool.append(b'{"event_id":"e%d"}\n' % number, 0)
        spool.when_synced(lambda fault, synced=synced: synced.set())
        assert synced.wait(60)
    spool.close()

    bring(tmp_path)
    assert sorted(event["event_id"] for event in delivered(tmp_path)) == [
        f"e{number}" for number in range(5)
    ]


def test_lines_beyond_the_room_of_a_segment_get_one_of_their_own(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.start()
    large = b'{"event_id":"large","note":"%b"}\n' % (b"x" * (spool_module.ROOM_BYTES + 1))

    spool.append(b'{"event_id":"a"}\n', 1)
    spool.append(large, 1)
    spool.append(b'{"event_id":"b"}\n', 1)
    spool.close()

    assert bring(tmp_path) == 3
    # In which order is not said: the next segment may have been made before the large one, and be
    # filled after it.
    assert sorted(event["event_id"] for event in delivered(tmp_path)) == ["a", "b", "large"]
    assert os.listdir(tmp_path / "spool") == []


def test_a_full_disk_refuses_the_line_and_space_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool")
    with monkeypatch.context() as full:
        full.setattr(
            os, "posix_fallocate", raising(OSError(errno.ENOSPC, "No space left on device"))
        )
        with pytest.raises(OSError, match="No space"):
            spool.append(b'{"event_id":"lost"}\n', 1)
        assert spool.fault is not None

    spool.append(b'{"event_id":"a"}\n', 1)
    spool.close()

    bring(tmp_path)
    assert spool.fault is None
    assert delivered(tmp_path) == [{"event_id": "a"}]


def test_what_was_accepted_before_the_disk_was_full_is_delivered_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.posix_fallocate, itertools.count()

    def full_after_the_first(*arguments: int) -> None:
        if next(calls):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(spool_module, "SEGMENT_SECONDS", 0.0)
    monkeypatch.setattr(spool_module, "SYNC_SECONDS", 0.01)
    monkeypatch.setattr(os, "posix_fallocate", full_after_the_first)
    spool = Spool(tmp_path / "spool")
    spool.append(b'{"event_id":"a"}\n', 1)
    spool.start()

    until(lambda: bring(tmp_path) == 1)

    assert delivered(tmp_path) == [{"event_id": "a"}]
    with pytest.raises(OSError, match="No space"):
        spool.append(b'{"event_id":"refused"}\n', 1)
    spool.close()


@pytest.mark.parametrize(("call", "succeed_first"), [("posix_fallocate", 1), ("fdatasync", 0)])
def test_an_idle_worker_notices_that_the_disk_is_sound_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, succeed_first: int
) -> None:
    fault, failed = OSError(errno.ENOSPC, "No space left on device"), threading.Event()
    real, calls = getattr(os, call), itertools.count()

    def fails(*arguments: int) -> None:
        if next(calls) >= succeed_first:
            failed.set()
            raise fault
        real(*arguments)

    monkeypatch.setattr(spool_module, "SEGMENT_SECONDS", 0.0)
    monkeypatch.setattr(spool_module, "SYNC_SECONDS", 0.01)
    spool = Spool(tmp_path / "spool")
    with monkeypatch.context() as ill:
        ill.setattr(os, call, fails)
        spool.start()
        if call == "fdatasync":
            spool.append(b'{"event_id":"a"}\n', 1)
        assert failed.wait(60)
        until(lambda: spool.fault is fault)

    until(lambda: spool.fault is None)
    spool.close()


def test_a_sync_that_fails_is_told_to_who_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "spool")
    told: list[OSError | None] = []
    monkeypatch.setattr(os, "fdatasync", raising(OSError(errno.EIO, "Input/output error")))

    spool.append(b'{"event_id":"a"}\n', 1)
    spool.when_synced(told.append)
    spool.close()

    assert [fault and fault.errno for fault in told] == [errno.EIO]


def test_an_event_store_that_is_away_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("a file where the folder should be")
    spool = Spool(tmp_path / "spool")
    spool.append(b'{"event_id":"a"}\n', 1)
    spool.close()

    with pytest.raises(OSError, match="events"):
        bring(tmp_path)
    waiting, _ = undelivered(tmp_path / "spool")
    (tmp_path / "events").unlink()
    bring(tmp_path)

    assert waiting == len(b'{"event_id":"a"}\n')
    assert delivered(tmp_path) == [{"event_id": "a"}]
    assert undelivered(tmp_path / "spool") == (0, 0.0)


def test_the_room_of_a_killed_process_that_accepted_nothing_is_nothing_undelivered(
    tmp_path: Path,
) -> None:
    left = tmp_path / "spool"
    left.mkdir()
    (left / f"killed{SUFFIX}").write_bytes(bytes(4_096))
    (left / f"used{SUFFIX}").write_bytes(b'{"event_id":"a"}\n')

    assert undelivered(left)[0] == len(b'{"event_id":"a"}\n')


def test_lines_that_a_failing_disk_spoilt_are_kept_and_all_others_delivered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    spoilt = [b"\0\x01 no event\n", b'{"event_id":"\0"}\n', b"5\n", b'{"slate":{}}\n']
    first, last = b'{"event_id":"first"}\n', b'{"event_id":"last"}\n'
    (spool / "api-a-0.spool").write_bytes(first + b"".join(spoilt) + last)
    (spool / "api-b-0.spool").write_bytes(b'{"event_id":"b"}\n')

    bring(tmp_path)

    assert [event["event_id"] for event in delivered(tmp_path)] == ["first", "last", "b"]
    assert os.listdir(spool) == ["api-a-0.unreadable"]
    assert (spool / "api-a-0.unreadable").read_bytes() == b"".join(spoilt)
    assert unreadable_bytes(spool) == len(b"".join(spoilt))
    assert "4 accepted lines of api-a-0 cannot be read" in capsys.readouterr().err


def test_a_segment_removed_before_its_lock_was_held_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, meddled = fcntl.flock, []

    def deliver_in_between(file: Any, operation: int) -> None:
        if operation == fcntl.LOCK_EX and not meddled:
            meddled.append(bring(tmp_path))
            assert os.listdir(tmp_path / "spool") == []
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", deliver_in_between)
    spool = Spool(tmp_path / "spool")
    spool.append(b'{"event_id":"a"}\n', 1)
    spool.close()
    bring(tmp_path)

    assert delivered(tmp_path) == [{"event_id": "a"}]


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def raising(error: Exception) -> Callable[..., None]:
    def call(*_: object) -> None:
        raise error

    return call

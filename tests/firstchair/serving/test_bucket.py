"""Published lists in a bucket: copied whole, fetched whole, and never served damaged."""

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import fsspec
import pytest

from firstchair.errors import PublicationError, SettingsError
from firstchair.hosts import lists
from firstchair.lake import LakeFiles
from firstchair.publication import copy_to, damage, fetch, not_copied
from firstchair.publication.bucket import FETCHED
from firstchair.publication.layout import FORMAT, MANIFEST, POINTER, VERSIONS, name_of
from firstchair.publication.published import current, open_published
from firstchair.publication.writing import finish, point_to
from firstchair.settings import Settings
from tests.firstchair.serving.conftest import ALL_CHAMPION, AS_OF, put_there
from tests.s3 import S3

PutOut = Callable[..., Path]


@pytest.fixture
def put_copy(tmp_path: Path) -> PutOut:
    """Publish a version of three small files; no login could be answered from it."""
    root = tmp_path / "published"

    def call(turn: int = 0) -> Path:
        partial = root / VERSIONS / ".new"
        (partial / "ranker").mkdir(parents=True)
        for name in ("lists.npy", "reasons.json", "ranker/trees.ubj"):
            (partial / name).write_bytes(f"{name} of turn {turn}".encode())
        facts = {"format": FORMAT, "as_of": AS_OF.isoformat(), "arms": [["champion", 1]]}
        point_to(root, finish(partial, root / VERSIONS, {**facts, "users": 3}))
        return root

    return call


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Folder that a host of logins answers from."""
    return tmp_path / "host" / "published"


def contents(root: Path) -> dict[str, bytes]:
    """Every file of every published version."""
    folder = root / VERSIONS
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def served(root: Path) -> str | None:
    """Name of the version that is pointed to, which is whole."""
    return current(root) if damage(root) is None else None


def put(bucket: str, name: str, content: bytes) -> None:
    """Write an object, as somebody with the right to do so."""
    fsspec.filesystem("s3").pipe_file(f"{bucket}/{name}", content)


def writes(s3: S3) -> int:
    """Requests so far that changed something."""
    return sum('"PUT' in line or '"DELETE' in line or '"POST' in line for line in s3.requests())


class KilledError(Exception):
    """Stands for a kill."""


def test_a_host_serves_what_is_published_elsewhere(
    publication: Callable[..., Path], bucket: str, host: Path, tmp_path: Path
) -> None:
    assert fetch(bucket, host) is None
    root = put_there(publication(0, ALL_CHAMPION, True), tmp_path / "published")
    assert not_copied(bucket, root)

    copy_to(bucket, root)

    assert not not_copied(bucket, root)
    assert fetch(bucket, host) == current(root) == open_published(host).version
    assert contents(host) == contents(root)


def test_what_is_there_is_not_written_again(
    put_copy: PutOut, bucket: str, host: Path, s3: S3
) -> None:
    root = put_copy()
    copy_to(bucket, root)
    fetch(bucket, host)
    before, read = writes(s3), len(s3.requests())

    copy_to(bucket, root)
    fetch(bucket, host)

    assert writes(s3) == before
    assert not any(f"/{VERSIONS}/" in line for line in s3.requests()[read:])


def test_versions_that_are_removed_where_they_are_published_go_from_bucket_and_hosts(
    put_copy: PutOut, bucket: str, host: Path
) -> None:
    root = put_copy()
    copy_to(bucket, root)
    fetch(bucket, host)
    first = str(current(root))
    put_copy(turn=1)
    copy_to(bucket, root)
    fetch(bucket, host)
    assert {path.name for path in (host / VERSIONS).iterdir()} == {first, str(current(root))}

    shutil.rmtree(root / VERSIONS / first)
    copy_to(bucket, root)
    fetch(bucket, host)

    assert not any(first in file.name for file in LakeFiles(bucket).listed())
    assert [path.name for path in (host / VERSIONS).iterdir()] == [current(root)]


@pytest.mark.parametrize("harm", ["flipped", "cut", "gone", "other manifest"])
def test_a_damaged_object_is_refused_and_the_lists_of_before_are_kept(
    put_copy: PutOut, bucket: str, host: Path, harm: str
) -> None:
    good = served(put_copy())
    root = put_copy(turn=1)
    copy_to(bucket, put_copy())
    fetch(bucket, host)
    root = put_copy(turn=1)
    copy_to(bucket, root)
    folder = f"{VERSIONS}/{current(root)}"
    name = f"{folder}/{MANIFEST if harm == 'other manifest' else 'lists.npy'}"
    content = LakeFiles(bucket).read(name)
    if harm == "gone":
        LakeFiles(bucket).remove(name)
    elif harm == "cut":
        put(bucket, name, content[:-1])
    elif harm == "flipped":
        put(bucket, name, content[:-1] + bytes([content[-1] ^ 1]))
    else:
        put(bucket, name, content.replace(b'"users": ', b'"users": 1'))

    with pytest.raises(PublicationError):
        fetch(bucket, host)
    assert served(host) == good
    assert not list((host / VERSIONS).glob(".*"))
    assert not_copied(bucket, root)

    # What is published next heals it.
    copy_to(bucket, root)
    assert fetch(bucket, host) == served(host) == current(root)


@pytest.mark.parametrize("pointer", [b"../../elsewhere", b"\xff", b"2026-02-01-000000000000"])
def test_a_pointer_to_nothing_changes_nothing(
    put_copy: PutOut, bucket: str, host: Path, pointer: bytes
) -> None:
    root = put_copy()
    copy_to(bucket, root)
    fetch(bucket, host)
    put(bucket, POINTER, pointer)

    assert not_copied(bucket, root)
    with pytest.raises(PublicationError):
        fetch(bucket, host)
    assert served(host) == current(root)

    copy_to(bucket, root)
    assert not not_copied(bucket, root)


def test_a_manifest_writes_no_file_outside_of_its_version(
    put_copy: PutOut, bucket: str, host: Path, tmp_path: Path
) -> None:
    root = put_copy()
    copy_to(bucket, root)
    manifest = json.loads((root / VERSIONS / str(current(root)) / MANIFEST).read_bytes())
    manifest["files"]["../../../outside.npy"] = {"sha256": "", "bytes": 1}
    name = name_of(manifest)
    put(bucket, f"{VERSIONS}/{name}/{MANIFEST}", json.dumps(manifest | {"version": name}).encode())
    put(bucket, POINTER, name.encode())

    with pytest.raises(PublicationError, match="outside of its version"):
        fetch(bucket, host)
    assert not list(tmp_path.rglob("outside.npy"))


@pytest.mark.parametrize("written", [1, 4])
def test_a_copy_that_was_killed_is_not_served_and_the_next_one_completes_it(
    put_copy: PutOut, bucket: str, host: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    root = put_copy()
    copy_to(bucket, root)
    first = current(root)
    root = put_copy(turn=1)
    left, puts = [None] * written, LakeFiles.put

    def dying(files: LakeFiles, local: Any, name: Any, **_: Any) -> None:
        if not left:
            raise KilledError
        left.pop()
        puts(files, local, name)

    with monkeypatch.context() as patched, pytest.raises(PublicationError):
        patched.setattr(LakeFiles, "put", dying)
        patched.setattr(LakeFiles, "swap", dying)
        copy_to(bucket, root)
    assert fetch(bucket, host) == first
    assert not_copied(bucket, root)

    copy_to(bucket, root)

    assert fetch(bucket, host) == current(root)


def test_of_two_who_publish_to_a_bucket_the_second_one_is_refused(
    put_copy: PutOut, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = put_copy(), tmp_path / "other"
    shutil.copytree(put_copy(), other)
    put_copy(turn=1)
    puts = LakeFiles.put

    def meanwhile(files: LakeFiles, local: Path, name: str) -> None:
        puts(files, local, name)
        patched.undo()
        copy_to(bucket, other)

    with (
        monkeypatch.context() as patched,
        pytest.raises(PublicationError, match="one home alone"),
    ):
        patched.setattr(LakeFiles, "put", meanwhile)
        copy_to(bucket, root)
    assert LakeFiles(bucket).read(POINTER).decode() == current(other)


def test_a_bucket_of_another_home_is_left_as_it_is(
    put_copy: PutOut, bucket: str, tmp_path: Path
) -> None:
    root, other = put_copy(), tmp_path / "other"
    copy_to(bucket, root)
    shutil.copytree(root, other)
    shutil.rmtree(other / VERSIONS / str(current(root)))
    before = {file.name: file.etag for file in LakeFiles(bucket).listed()}
    (other / "COPIED").unlink()
    shutil.rmtree(root)
    shutil.move(other, root)
    put_copy(turn=1)

    with pytest.raises(PublicationError, match="Another home publishes"):
        copy_to(bucket, root)
    copy_to(bucket, tmp_path / "nothing")

    assert {file.name: file.etag for file in LakeFiles(bucket).listed()} == before
    assert not_copied(bucket, root)


def test_into_a_folder_that_lists_are_fetched_into_none_are_published(
    put_copy: PutOut, bucket: str, host: Path
) -> None:
    copy_to(bucket, put_copy())
    fetch(bucket, host)

    with pytest.raises(PublicationError, match="fetched into this folder"):
        copy_to(bucket, host)
    assert (host / FETCHED).exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_disk_that_is_full_or_closed_is_no_fault_of_the_bucket(
    put_copy: PutOut, bucket: str, host: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number), str(host) if number == errno.EACCES else None)

    copy_to(bucket, put_copy())
    monkeypatch.setattr("firstchair.publication.bucket.replace_file", failing)

    with pytest.raises(PublicationError, match="folder of lists cannot be written"):
        fetch(bucket, host)


def test_into_a_folder_that_is_published_into_nothing_is_fetched(
    put_copy: PutOut, bucket: str
) -> None:
    root = put_copy()
    copy_to(bucket, root)
    before = contents(root)

    with pytest.raises(PublicationError, match="published into this folder"):
        fetch(bucket, root)
    assert contents(root) == before


class Once(Event):
    """A stop that comes after so many rounds."""

    def __init__(self, rounds: list[Callable[[], Any]]) -> None:
        super().__init__()
        self.rounds = rounds

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout == 7
        if self.rounds:
            self.rounds.pop(0)()
        else:
            self.set()
        return self.is_set()


def test_the_process_of_a_host_logs_what_changes_and_goes_on_after_faults(
    put_copy: PutOut, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = put_copy()
    settings = Settings(home=tmp_path / "host", published_url=bucket, published_poll_seconds=7)
    rounds = [
        lambda: copy_to(bucket, root),
        lambda: None,
        lambda: put(bucket, POINTER, b"nothing"),
        lambda: None,
        lambda: copy_to(bucket, root),
    ]

    with caplog.at_level("INFO"):
        lists.follow(settings, Once(rounds))

    of_host = [record for record in caplog.records if record.name == lists.__name__]
    said = [(record.levelname, record.message[:12]) for record in of_host]
    assert said == [
        ("ERROR", "Nothing is p"),
        ("INFO", "Served from "),
        ("ERROR", "The publishe"),
        ("INFO", "Served from "),
    ]
    assert served(settings.published) == current(root)


def test_without_a_bucket_there_is_nothing_to_follow(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="published_url is not set"):
        lists.follow(Settings(home=tmp_path), Event())


@pytest.mark.parametrize("url", ["lists", "gs://bucket/lists", "s3://bucket/a b", "s3://"])
def test_an_address_that_is_none_of_s3_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose s3://bucket/prefix"):
        Settings(home=tmp_path, published_url=url)

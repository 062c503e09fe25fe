"""Who was forgotten is recognised, by every process, and by nobody who reads the file."""

from pathlib import Path

from firstchair.sources import Tombstone, Tombstones, user_key

KEY = b"a test's key"


def tombstones(folder: Path) -> Tombstones:
    return Tombstones(folder, lambda: KEY)


def forget(found: Tombstones, user_id: str, *, done: bool = False) -> None:
    found.put(Tombstone(found.hash_of(user_id), f"of {len(user_id)}", "2026-02-01", done))


def test_another_process_knows_who_was_forgotten_after_a_refresh(tmp_path: Path) -> None:
    ours, theirs = tombstones(tmp_path), tombstones(tmp_path)
    assert not theirs
    assert not theirs.holds("user-1")

    forget(ours, "user-1")
    forget(ours, "user-22")
    theirs.refresh()

    assert theirs.among(["user-1", "user-2", "user-22"]) == ["user-1", "user-22"]
    assert bool(theirs)


def test_a_second_tombstone_of_a_user_replaces_the_first(tmp_path: Path) -> None:
    found = tombstones(tmp_path)
    forget(found, "user-1")
    forget(found, "user-1", done=True)

    kept = tombstones(tmp_path).of("user-1")
    assert kept is not None
    assert kept.done
    assert len(next(tmp_path.iterdir()).read_text().splitlines()) == 1


def test_the_file_holds_neither_id_nor_pseudonym_and_only_its_owner_reads_it(
    tmp_path: Path,
) -> None:
    forget(tombstones(tmp_path), "user-1")

    (file,) = tmp_path.iterdir()
    assert "user-1" not in file.read_text()
    assert user_key("user-1", KEY) not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600

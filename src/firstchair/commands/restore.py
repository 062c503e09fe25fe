"""`firstchair restore`: a backup becomes a home again, after every file of it was checked."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import URL

from firstchair.commands.backup import OF_A_RESTORE, databases_of, in_home, key_digest
from firstchair.commands.backup_files import (
    DATABASES,
    HOME,
    LAKE,
    Manifest,
    copy_out,
    refused,
    under,
)
from firstchair.databases import (
    Databases,
    embedded_server_runs,
    empty_database,
    holds_tables,
    load_database,
    open_databases,
    stop_embedded_server,
)
from firstchair.errors import BackupError
from firstchair.lake import Lake, LakeFiles
from firstchair.outbox.segment import SUFFIX
from firstchair.promotion import Ledger
from firstchair.settings import Settings

BUILDING, EARLIER = OF_A_RESTORE


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """A backup that was restored.

    ledger_entries: decisions, whose hash chain was checked. published: name of the version that is
    served. earlier: where what was in the home before is kept; None if it was empty. left_out: what
    the backup does not hold, in words.
    """

    home: str
    files: int
    databases: tuple[str, ...]
    ledger_entries: int
    published: str | None
    earlier: str | None
    left_out: tuple[str, ...]


def restore(settings: Settings, path: Path, *, overwrite: bool = False) -> RestoreReport:
    """Make the home of the settings out of a backup.

    Everything is built in a folder of the home and put in place at the end; databases and a lake
    that lie elsewhere are written before that, each database in one transaction. Killed before the
    end, it is begun anew by the next call.

    Args:
        settings: Where to.
        path: The backup.
        overwrite: Replace what is there; what was in the home is kept in a folder of it.

    Raises:
        BackupError: The backup is damaged, or was made under another key of pseudonyms, or there is
            something in its place and `overwrite` is not set; nothing was written. Or its ledger
            does not come back whole, which is found once all is written.
        SourceError: A database cannot be written; the home is as it was.
    """
    path = path.absolute()
    manifest = Manifest.read(path)
    manifest.check(path)
    _require_place(settings, overwrite=overwrite)
    with _built(settings.home / BUILDING) as building:
        _place_home(path, manifest, building)
        new = settings.model_copy(update={"home": building})
        if key_digest(new) != manifest.key:
            raise refused(path, "It was made under another pseudonym_key than the settings have.")
        lake = LakeFiles(_lake_of(settings, building).url)
        with _opened(new) as databases:
            ours = {
                name: url
                for name, url in databases_of(new, databases).items()
                if name in manifest.databases
            }
            if not overwrite:
                _require_empty(lake, ours)
            _place_lake(path, manifest, lake)
            entries = _load_databases(path, manifest, Ledger(databases.ledger), ours)
        os.sync()
        earlier = _put_in_place(building, settings.home)
    return RestoreReport(
        str(settings.home),
        len(manifest.files),
        manifest.databases,
        entries,
        manifest.published,
        None if earlier is None else str(earlier),
        manifest.left_out,
    )


def _require_place(settings: Settings, *, overwrite: bool) -> None:
    home = settings.home
    if embedded_server_runs(home):
        raise _occupied(
            f"A Postgres works in the home {home}.", str(home), "End all that uses the home."
        )
    if not overwrite and _in(home):
        raise _occupied(
            f"The home {home} is not empty.",
            str(home),
            "Choose another FIRSTCHAIR_HOME, or give --overwrite; what is there is then kept in a "
            "folder of it.",
        )


def _occupied(what: str, where: str, remedy: str) -> BackupError:
    return BackupError(what, where=where, data="Nothing was written.", remedy=remedy)


def _in(home: Path) -> list[Path]:
    """What is in a home, other than what restores put there."""
    found = home.iterdir() if home.exists() else ()
    return sorted(path for path in found if not path.name.startswith(OF_A_RESTORE))


@contextmanager
def _built(building: Path) -> Iterator[Path]:
    """A new private folder, which is gone after the block."""
    try:
        shutil.rmtree(building, ignore_errors=True)  # of a restore that was killed
        building.mkdir(parents=True, mode=0o700)
        yield building
    except OSError as error:
        raise BackupError(
            f"The home cannot be written: {error}.",
            where=str(building.parent),
            data="What was in the home is there.",
            remedy="Make space, or mend its rights, then restore again.",
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _place_home(backup: Path, manifest: Manifest, home: Path) -> None:
    for name, file in under(manifest.files, HOME):
        copy_out(backup / HOME / name, _place_of(home / name), file)


def _place_of(path: Path) -> Path:
    """Place of a file; a segment of the spool gets a name that was never delivered.

    It may have grown and been delivered after the backup, and an object of the event store is not
    written again. Events that are delivered twice so are duplicates, and count once.
    """
    return path.with_stem(f"{path.stem}-restored") if path.suffix == SUFFIX else path


def _lake_of(settings: Settings, building: Path) -> Lake:
    inside = in_home(settings, settings.lake_url)
    return Lake(settings.lake_url if inside is None else str(building / inside))


@contextmanager
def _opened(settings: Settings) -> Iterator[Databases]:
    """The databases; a server in the home works until the end of the block."""
    databases = open_databases(settings)
    try:
        yield databases
    finally:
        if not (settings.source_database_url and settings.database_url):
            stop_embedded_server(settings.home)


def _require_empty(lake: LakeFiles, databases: Mapping[str, URL]) -> None:
    """Refuse before either is written where lake or databases hold anything."""
    if there := lake.listed():
        raise _occupied(
            f"There are {len(there):,} files in the lake.",
            lake.url,
            "Choose another lake_url, or give --overwrite; they are then removed.",
        )
    if full := [name for name, url in databases.items() if holds_tables(url)]:
        raise _occupied(
            f"There are tables in {len(full)} of {len(databases)} databases: {', '.join(full)}.",
            "FIRSTCHAIR_DATABASE_URL",
            "Choose an empty database, or give --overwrite; they are then replaced.",
        )


def _place_lake(backup: Path, manifest: Manifest, lake: LakeFiles) -> None:
    for file in lake.listed():
        lake.remove(file.name)
    for name, _ in under(manifest.files, LAKE):
        lake.put(backup / LAKE / name, name)


def _load_databases(
    backup: Path, manifest: Manifest, ledger: Ledger, databases: Mapping[str, URL]
) -> int:
    """Load the dumps; return the number of decisions, whose chain is as whole as it was."""
    for url in databases.values():
        if holds_tables(url):
            empty_database(url)
    ledger.make_writer()
    for name, url in databases.items():
        load_database(backup / DATABASES / f"{name}.dump", url)
    verified = ledger.verify()
    if manifest.ledger_is_whole and not verified.ok:
        raise BackupError(
            f"Entry {verified.first_broken} of the ledger is broken, and was not when the backup "
            "was made.",
            where=str(backup),
            data="What was in the home is there; a lake and databases elsewhere hold the backup.",
            remedy="Take another backup, or another copy of this one, and give --overwrite.",
        )
    return verified.entries


def _put_in_place(building: Path, home: Path) -> Path | None:
    """Move what was built into the home; return the folder that what was there is in now."""
    before = _in(home)
    earlier = home / f"{EARLIER}-{datetime.now(UTC):%Y%m%dT%H%M%S}" if before else None
    if earlier is not None:
        earlier.mkdir(mode=0o700)
        for path in before:
            path.rename(earlier / path.name)
    for path in sorted(building.iterdir()):
        path.rename(home / path.name)
    return earlier

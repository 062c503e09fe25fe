"""`firstchair backup`: everything under our control in one folder, consistent and checked."""

import hashlib
import hmac
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

import firstchair
from firstchair.commands.backup_files import (
    DATABASES,
    HOME,
    LAKE,
    KeptFile,
    Manifest,
    copy_in,
    summed,
)
from firstchair.databases import Databases, dump_database
from firstchair.errors import BackupError
from firstchair.lake import TRIAL, Lake, LakeFiles
from firstchair.platform.platform import Platform
from firstchair.platform.work import writing
from firstchair.publication import serves
from firstchair.settings import Settings

# The settings file of the working directory.
CONFIG = Path("firstchair.toml")
# Of the home, the files of the embedded server are dumped instead of copied.
SERVER = "postgres"
# Folders of a home that a restore is building, or put aside.
OF_A_RESTORE = (".restoring", ".before-restore")


@dataclass(frozen=True, slots=True)
class BackupReport:
    """A backup that was made: its folder and what it holds."""

    path: str
    files: int
    bytes: int
    databases: tuple[str, ...]
    ledger_entries: int
    published: str | None
    left_out: tuple[str, ...]


def backup(platform: Platform, path: Path) -> BackupReport:
    """Write a backup into the folder `path`, which appears when it is whole.

    The writers' lock is held, so tables, models and lists are of one moment. The ledger is dumped
    last: it knows every decision that the registry follows, and a later one is followed at the
    next start, as after a crash between the two.

    Raises:
        BackupError: `path` exists, lies in the home, or cannot be written; nothing stays there.
        WriterBusyError: Another writer of the tables is at work.
    """
    path = path.absolute()
    _require_free(path, platform.settings)
    partial = path.with_name(f".{path.name}.partial")
    with (
        writing(platform.databases.ledger, who="firstchair backup", wait=False),
        _written(partial, path),
    ):
        manifest = _fill(platform, partial)
        manifest.write(partial)
    return BackupReport(
        str(path),
        len(manifest.files),
        manifest.bytes,
        manifest.databases,
        manifest.ledger_entries,
        manifest.published,
        manifest.left_out,
    )


def key_digest(settings: Settings) -> str:
    """Digest of the key of pseudonyms, by which a restore under another key is found."""
    return hmac.new(
        settings.secret_pseudonym_key(), b"firstchair backup", hashlib.sha256
    ).hexdigest()


def databases_of(settings: Settings, databases: Databases) -> dict[str, URL]:
    """Address of each database that is ours by its name; the accounts only where we embed them."""
    ours = {"mlflow": databases.mlflow, "dagster": databases.dagster, "ledger": databases.ledger}
    return ours if settings.source_database_url else {"accounts": databases.accounts, **ours}


def in_home(settings: Settings, url: str) -> Path | None:
    """Path of an address in the home; None where it lies elsewhere.

    A folder of the home may be a link to elsewhere, and the address may go through one to the home.
    """
    path = Path(url.removeprefix("file://"))
    if "://" in str(path):
        return None
    for one in (Path(os.path.abspath(path)), path.parent.resolve() / path.name, path.resolve()):
        if one.is_relative_to(settings.home):
            return one.relative_to(settings.home)
    return None


@contextmanager
def _written(partial: Path, path: Path) -> Iterator[None]:
    """A new private folder, which takes its name at the end of the block."""
    try:
        shutil.rmtree(partial, ignore_errors=True)  # of a backup that was killed
        partial.mkdir(parents=True, mode=0o700)
        yield
        os.sync()
        partial.rename(path)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise BackupError(
            f"The backup cannot be written: {error}.",
            where=str(path),
            data="The platform is as it was; nothing is at that path.",
            remedy="Make space, or choose a path that can be written.",
        ) from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _require_free(path: Path, settings: Settings) -> None:
    inside = path.resolve().is_relative_to(settings.home)
    if not inside and not os.path.lexists(path):
        return
    fault = f"lies in the home {settings.home}" if inside else "exists already"
    raise BackupError(
        f"The path of the backup {fault}.",
        where=str(path),
        data="Nothing was written.",
        remedy="Choose the path of a folder that does not exist, outside of the home.",
    )


def _fill(platform: Platform, folder: Path) -> Manifest:
    settings = platform.settings
    verified = platform.ledger.verify()
    key = key_digest(settings)  # a home without a key makes it now, and it is copied
    files = {f"{HOME}/{name}": file for name, file in _copy_home(settings, folder / HOME)}
    files |= {f"{LAKE}/{name}": file for name, file in _copy_lake(platform.lake, folder / LAKE)}
    databases = databases_of(settings, platform.databases)
    (folder / DATABASES).mkdir()
    for name, url in databases.items():
        path = folder / DATABASES / f"{name}.dump"
        dump_database(url, path)
        files[f"{DATABASES}/{name}.dump"] = summed(path)
    served = serves(settings.published)
    return Manifest(
        made_by=firstchair.__version__,
        made_at=platform.now,
        home=str(settings.home),
        databases=tuple(databases),
        key=key,
        ledger_entries=verified.entries,
        ledger_is_whole=verified.ok,
        published=None if served is None else served.published,
        left_out=tuple(_left_out(settings)),
        files=files,
    )


def _copy_home(settings: Settings, target: Path) -> Iterator[tuple[str, KeptFile]]:
    """Copy each file of the home, except those removed meanwhile, such as delivered ones."""
    lake = in_home(settings, settings.lake_url)
    copied_otherwise = {Path(SERVER), *([lake] if lake else [])}

    def is_left_out(path: Path) -> bool:
        of_a_restore = len(path.parts) == 1 and path.name.startswith(OF_A_RESTORE)
        return path in copied_otherwise or of_a_restore

    for path in _files(settings.home, Path(), is_left_out, (target.parent.resolve(),)):
        with suppress(FileNotFoundError):
            yield path.as_posix(), _copied(settings.home / path, target / path)


def _files(
    home: Path, folder: Path, is_left_out: Callable[[Path], bool], above: tuple[Path, ...]
) -> Iterator[Path]:
    """The files under a folder of the home, links to files and folders followed.

    Args:
        home: The home.
        folder: Path in it.
        is_left_out: Whether a path in the home is left out, with all below it.
        above: Folders that are not gone into: those above, to which a link may lead back.
    """
    real = (home / folder).resolve()
    if real in above:
        return
    with suppress(FileNotFoundError):
        for path in sorted(folder / one.name for one in (home / folder).iterdir()):
            if is_left_out(path):
                continue
            if (home / path).is_dir():
                yield from _files(home, path, is_left_out, (*above, real))
            elif (home / path).is_file():
                yield path


def _copied(original: Path, copy: Path) -> KeptFile:
    with original.open("rb") as source:
        return copy_in(source, copy, like=os.fstat(source.fileno()))


def _copy_lake(lake: Lake, target: Path) -> Iterator[tuple[str, KeptFile]]:
    """Copy each file of the tables and their logs, wherever the lake is."""
    files = LakeFiles(lake.url)
    for file in files.listed():
        if file.name.startswith(TRIAL):
            continue
        with files.open(file.name) as source:
            yield file.name, copy_in(source, target / file.name)


def _left_out(settings: Settings) -> Iterator[str]:
    if in_home(settings, settings.events_url) is None:
        yield f"event objects at {settings.events_url}, which their owners keep"
    if settings.source_database_url:
        yield "accounts and catalogue of source_database_url, which their owners keep"
    for what, path in (("settings", CONFIG), ("further tokens", settings.tokens)):
        if path.exists() and in_home(settings, str(path)) is None:
            yield f"{what} in {path.absolute()}, outside of the home"
    if settings.mlflow_tracking_uri:
        yield f"MLflow at {settings.mlflow_tracking_uri}, with its models"
    for name in ("pseudonym_key", "tombstone_key", "api_token"):
        if getattr(settings, name).get_secret_value():
            yield f"{name}, which comes from the settings"

"""Where a user may stand: files of the home, tables of the lake, artifacts, databases, sources."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import fsspec
import sqlalchemy as sa

from firstchair.lake import LakeFiles
from firstchair.platform.platform import Platform

# Folder of the embedded server in the home, and what of it holds rows of our databases.
SERVER, ROWS, SERVER_LOG = "postgres", "base", "log"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file to read: what kind of place it is in, its name, and how it is opened."""

    kind: str
    name: str
    open: Callable[[], IO[bytes]]
    path: Path | None = None


def stored_files(platform: Platform) -> Iterator[StoredFile]:
    """Every file under home, lake, bucket of lists, artifact store and event store, wherever it is.

    The files of the event store are of kind `source`: they are another team's. Of the embedded
    Postgres, those that hold rows of our databases, and its log.
    """
    settings = platform.settings
    lake, events = _local(settings.lake_url), _local(settings.events_url)
    artifacts = platform.registry.artifact_root
    roots = {"lake": lake, "artifacts": artifacts, "source": events}
    for path in _walk(settings.home, without=(settings.home / SERVER,)):
        yield _file(path, roots, settings.home)
    for path in _server_files(platform):
        yield StoredFile("database", _named(path, settings.home), _opener(path), path)
    for root in (lake, artifacts, events):
        if root is not None and not root.is_relative_to(settings.home):
            for path in _walk(root):
                yield _file(path, roots, root)
    if lake is None:
        yield from _elsewhere("lake", platform.lake.url)
    if settings.published_url:
        yield from _elsewhere("published", settings.published_url)
    if events is None:
        yield from _events_elsewhere(settings.events_url)


def _file(path: Path, roots: dict[str, Path | None], base: Path) -> StoredFile:
    kind = next((k for k, root in roots.items() if root and path.is_relative_to(root)), "home")
    return StoredFile(kind, _named(path, base), _opener(path), path)


def _named(path: Path, base: Path) -> str:
    return str(path.relative_to(base)) if path.is_relative_to(base) else str(path)


def _opener(path: Path) -> Callable[[], IO[bytes]]:
    return lambda: path.open("rb")


def _walk(root: Path, *, without: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Every plain file, names ascending; links are not followed."""
    if not root.is_dir():
        return
    for path in sorted(root.iterdir()):
        if path in without or path.is_symlink():
            continue
        if path.is_dir():
            yield from _walk(path, without=without)
        elif path.is_file():
            yield path


def _local(url: str) -> Path | None:
    """The folder that an address names; None where it is no local one."""
    if "://" not in url or url.startswith("file://"):
        return Path(url.removeprefix("file://")).resolve()
    return None


def _server_files(platform: Platform) -> Iterator[Path]:
    data = platform.settings.home / SERVER
    if not data.is_dir():
        return
    for url in platform.databases.owned.values():
        yield from _walk(data / ROWS / str(_number(url)))
    if (data / SERVER_LOG).is_file():
        yield data / SERVER_LOG


def _number(url: sa.URL) -> int:
    """Number of a database, by which its folder is named; its pages are written out first."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        with suppress(sa.exc.DBAPIError):  # only some users of a server may
            connection.execute(sa.text("checkpoint"))
        named = sa.text("select oid::bigint from pg_database where datname = current_database()")
        return int(connection.scalar(named) or 0)


def _elsewhere(kind: str, url: str) -> Iterator[StoredFile]:
    files = LakeFiles(url)
    for found in files.listed():
        yield StoredFile(kind, found.name, partial(files.open, found.name))


def _events_elsewhere(url: str) -> Iterator[StoredFile]:
    files, root = fsspec.core.url_to_fs(url)
    for path in sorted(files.find(root)):
        yield StoredFile("source", path, _of_store(files, path))


def _of_store(files: Any, path: str) -> Callable[[], IO[bytes]]:
    return lambda: cast("IO[bytes]", files.open(path, "rb"))

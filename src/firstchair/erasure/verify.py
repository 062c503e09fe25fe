"""The proof of an erasure: every byte is read again, and what still names the user is told."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from firstchair.erasure.identity import Identity
from firstchair.erasure.places import SERVER, StoredFile, stored_files
from firstchair.erasure.reading import Search, names_in
from firstchair.erasure.rows import email_of, held_in
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.platform.platform import Platform

Progress = Callable[[str, int, int], None]
# Columns with the keys of artists and tracks.
CATALOGUE = ((t.ARTISTS, "artist_id"), (t.ARTIST_REDIRECTS, "artist_id"), (t.TRACKS, "track_id"))
# Of the embedded server: written over by it in its own time, or without our rows.
NOT_READ = (
    f"{SERVER}/pg_wal (write-ahead log, which the server overwrites) and the files of the account "
    "database, which is another team's"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a table that holds the user, and by which of `user_id`, `email`, `user_key`."""

    kind: str
    name: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verification:
    """What was read, and what was found.

    files: read, by kind of place. tables: of databases. bytes: as stored and as unpacked.
    left: places of ours that still hold the user. unread: files of ours that could not be unpacked.
    sources: objects and tables of other teams that hold the user. not_read: what is left out.
    by_field: the user_id is so short, or an artist or track has it too, that it was only looked for
    in fields of that name.
    """

    files: dict[str, int]
    tables: int
    bytes: int
    left: tuple[Place, ...]
    unread: tuple[str, ...]
    sources: tuple[Place, ...]
    not_read: str
    by_field: bool

    @property
    def ok(self) -> bool:
        """Whether nothing of ours holds the user, and everything could be read."""
        return not self.left and not self.unread


def identify(platform: Platform, user_id: str) -> Identity:
    """The names of a user, with the address of e-mail that the account table has now.

    Raises:
        SourceError: The account table cannot be read.
        LakeError: The catalogue cannot be read.
    """
    return Identity.of(
        user_id,
        platform.settings.secret_pseudonym_key(),
        email=email_of(platform.databases.accounts, user_id),
        is_shared=_is_catalogued(platform.lake, user_id),
    )


def _is_catalogued(lake: Lake, user_id: str) -> bool:
    """Whether an artist or a track has the key of an account."""
    quoted = "'" + user_id.replace("'", "''") + "'"
    return any(lake.count(table, f"{column} = {quoted}") for table, column in CATALOGUE)


def verify(
    platform: Platform, user_id: str, *, progress: Progress = lambda *_: None
) -> Verification:
    """Read every byte under home, lake, artifact store and databases for a user.

    Raises:
        SourceError: The event store or a database cannot be read.
    """
    identity = identify(platform, user_id)
    search = Search(identity)
    files: Counter[str] = Counter()
    left: list[Place] = []
    sources: list[Place] = []
    unread: list[str] = []
    for file in stored_files(platform):
        files[file.kind] += 1
        if sum(files.values()) % 100 == 0:
            progress("files", sum(files.values()), 0)
        try:
            names = _read(file, search)
        except (OSError, EOFError, ValueError) as error:
            if file.kind != "source":
                unread.append(f"{file.name}: {error}")
            continue
        if names:
            place = Place(file.kind, file.name, tuple(sorted(names)))
            (sources if file.kind == "source" else left).append(place)
    for kind, place in _in_databases(platform, search):
        (sources if kind == "source" else left).append(place)
    return Verification(
        files=dict(sorted(files.items())),
        tables=search.tables,
        bytes=search.bytes_read,
        left=tuple(left),
        unread=tuple(unread),
        sources=tuple(sources),
        not_read=NOT_READ if (platform.settings.home / SERVER).is_dir() else "",
        by_field=identity.by_field,
    )


def _read(file: StoredFile, search: Search) -> set[str]:
    """The names in a file; none where it was removed meanwhile."""
    found = search.identity.found_in(file.name.encode("utf-8", "replace"))
    try:
        with file.open() as stream:
            return found | names_in(stream, search)
    except FileNotFoundError:
        return set()


def _in_databases(platform: Platform, search: Search) -> Iterator[tuple[str, Place]]:
    databases = platform.databases
    owned = {"ledger": databases.ledger, "mlflow": databases.mlflow, "dagster": databases.dagster}
    for name, url in {**owned, "accounts": databases.accounts}.items():
        kind = "database" if name in owned else "source"
        for held in held_in(url, search):
            yield kind, Place(kind, f"{name}.{held.table} ({held.rows:,} rows)", held.names)

"""The proof of an erasure: every byte is read again, and what still names a user is reported."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from firstchair.erasure.identity import Identities, Identity, Match
from firstchair.erasure.places import SERVER, StoredFile, stored_files
from firstchair.erasure.reading import Search, matches_in
from firstchair.erasure.rows import held_in
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.platform.platform import Platform
from firstchair.sources import accounts, values_by_key

Progress = Callable[[str, int, int], None]
# Kind of the places that are another team's.
SOURCE = "source"
# Columns with the keys of artists and tracks.
CATALOGUE = (
    *((table, "artist_id") for table in (t.ARTISTS, t.ARTIST_REDIRECTS, t.FORMER_ARTISTS)),
    *((table, "track_id") for table in (t.TRACKS, t.FORMER_TRACKS)),
)
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
    by_field: the user_id was only looked for in fields of that name (`Identity.by_field`).
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


def identify_users(platform: Platform, user_ids: Sequence[str]) -> Identities:
    """The names of users, with the addresses of e-mail that the account table has now.

    Raises:
        SourceError: The account table cannot be read.
        LakeError: The catalogue cannot be read.
    """
    key = platform.settings.secret_pseudonym_key()
    emails = values_by_key(
        platform.databases.accounts,
        accounts.USERS,
        accounts.USERS.c.email,
        user_ids,
        mapping=platform.settings.accounts.mapping.users,
    )
    shared = _catalogued(platform.lake, user_ids)
    return Identities(
        [
            Identity.of(user_id, key, email=emails.get(user_id), is_shared=user_id in shared)
            for user_id in user_ids
        ]
    )


def _catalogued(lake: Lake, user_ids: Sequence[str]) -> set[str]:
    """Those keys of accounts that an artist or a track has too."""
    keys = " union ".join(f"select {column} from {lake.scan(table)}" for table, column in CATALOGUE)
    with connect() as connection:
        rows = connection.execute(
            f"select user_id from (select unnest(?) as user_id) where user_id in ({keys})",
            [list(user_ids)],
        ).fetchall()
    return {user_id for (user_id,) in rows}


def verify(
    platform: Platform, user_id: str, *, progress: Progress = lambda *_: None
) -> Verification:
    """Read every byte for one user, as `verify_users` does."""
    return verify_users(platform, [user_id], progress=progress)[0]


def verify_users(
    platform: Platform, user_ids: Sequence[str], *, progress: Progress = lambda *_: None
) -> list[Verification]:
    """Read every byte under home, lake, artifact store and databases once, for all of the users.

    Returns what was found of each, in the order of the users.

    Raises:
        SourceError: The event store or a database cannot be read.
    """
    identities = identify_users(platform, user_ids)
    search = Search(identities)
    files: Counter[str] = Counter()
    found: dict[Identity, list[Place]] = defaultdict(list)
    unread: list[str] = []
    for file in stored_files(platform):
        files[file.kind] += 1
        if sum(files.values()) % 100 == 0:
            progress("files", sum(files.values()), 0)
        try:
            matches = _read(file, search)
        except (OSError, EOFError, ValueError) as error:
            if file.kind != SOURCE:
                unread.append(f"{file.name}: {error}")
            continue
        for identity, names in _by_user(matches).items():
            found[identity].append(Place(file.kind, file.name, names))
    for identity, place in _in_databases(platform, search):
        found[identity].append(place)
    return [
        Verification(
            files=dict(sorted(files.items())),
            tables=search.tables,
            bytes=search.bytes_read,
            left=tuple(place for place in found[identity] if place.kind != SOURCE),
            unread=tuple(unread),
            sources=tuple(place for place in found[identity] if place.kind == SOURCE),
            not_read=NOT_READ if (platform.settings.home / SERVER).is_dir() else "",
            by_field=identity.by_field,
        )
        for identity in identities
    ]


def _read(file: StoredFile, search: Search) -> set[Match]:
    """Who stands in a file; nobody where it was removed meanwhile."""
    found = search.identities.found_in(file.name.encode("utf-8", "replace"))
    try:
        with file.open() as stream:
            return found | matches_in(stream, search)
    except FileNotFoundError:
        return set()


def _by_user(matches: set[Match]) -> dict[Identity, tuple[str, ...]]:
    """The names by which each user was found, ascending."""
    found: dict[Identity, tuple[str, ...]] = {}
    for identity, name in sorted(matches, key=lambda match: match.name):
        found[identity] = (*found.get(identity, ()), name)
    return found


def _in_databases(platform: Platform, search: Search) -> Iterator[tuple[Identity, Place]]:
    owned = platform.databases.owned
    for name, url in {**owned, "accounts": platform.databases.accounts}.items():
        kind = "database" if name in owned else SOURCE
        for held in held_in(url, search):
            named = f"{name}.{held.table} ({held.rows:,} rows)"
            yield held.identity, Place(kind, named, held.names)

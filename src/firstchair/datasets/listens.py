"""Listening histories: the records of any export as listens, and those as both sources.

A loader says which files it reads and what each field of a record means, in SQL. All else is here:
refusals and their reasons, users, artists and tracks by id or by name, lengths, and the lines of
events. Everything is done in an engine on disk, so memory does not grow with a history.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import groupby, islice

import duckdb
import pyarrow as pa

from firstchair.datasets.composition import EARLIEST_MS, Dataset, Day, Request
from firstchair.datasets.exports import ExportFile, find_exports
from firstchair.datasets.scratch import ROWS_AT_ONCE, opened, streamed
from firstchair.errors import SourceError
from firstchair.sources import Record, records_of

TRACK_MS = 210_000
# A longer track is a fault of its tags.
LONGEST_MS = 86_400_000
UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
# Reasons of the reader of records, for a person.
UNREAD = {"not_json": "no JSON", "out_of_range": "more bytes or depth than a record may have"}

# What a loader's SQL makes of a record; `reason` is null where it is a listen.
#   owner: a digest of the user's name, null where the record does not say whose it is
#   started_ms: when the track began to play, in milliseconds since 1970
#   artist_id, track_id: null where there is a name alone; is_joint: the record names more artists
#   length_ms: of the track
#   ms_played, was_skipped, country, was_recommended: null where it is not known
COLUMNS = {
    "owner": "varchar",
    "started_ms": "bigint",
    "artist_id": "varchar",
    "artist": "varchar",
    "is_joint": "boolean",
    "track_id": "varchar",
    "title": "varchar",
    "length_ms": "bigint",
    "ms_played": "bigint",
    "was_skipped": "boolean",
    "country": "varchar",
    "was_recommended": "boolean",
    "reason": "varchar",
}
Reading = Callable[[ExportFile, Request], Iterator[tuple[Record, str]]]


@dataclass(frozen=True, slots=True)
class Layout:
    """One kind of export.

    name: of the data set. files: names of its files (`find_exports`); example: one of them.
    meaning: SQL that makes rows with `COLUMNS`, and export, place and line, of the table `records`
        (export, place, line, context, raw).
    real, composed: what is the export's own, and what is not, in words.
    read: the records of a file with a text about the file (`context`) beside each.
    own: further fields of the events, each with its column.
    numbered: the set numbers its users, and what repeats in it is no repetition.
    """

    name: str
    files: "re.Pattern[str]"
    example: str
    meaning: str
    real: tuple[str, ...]
    composed: tuple[str, ...]
    read: Reading
    own: Mapping[str, str] = field(default_factory=dict)
    numbered: bool = False


def json_records(file: ExportFile, _: Request) -> Iterator[tuple[Record, str]]:
    """The JSON values of a file, read as the objects of an event store are."""
    with file.opened() as stream:
        for record in records_of(stream):
            yield record, ""


# Whether a record is no object, in SQL; its text has no blanks around it.
IS_NO_OBJECT = "not starts_with(raw, '{')"


def mbid(value: str) -> str:
    """SQL of a MusicBrainz id in lower case, null for a text that is none."""
    return f"case when regexp_matches(lower({value}), '{UUID}') then lower({value}) end"


def whole(value: str, *, times: int = 1) -> str:
    """SQL of a number in a text, times a factor, as an integer; null if none or too large."""
    return f"try_cast(round(try_cast({value} as double) * {times}) as bigint)"


def drawn(table: str = "records", /, **paths: str) -> str:
    """SQL of a CTE `drawn`: the table, and texts of its JSON `raw` as columns, in one pass."""
    listed = ", ".join("'" + path.replace("'", "''") + "'" for path in paths.values())
    columns = ", ".join(
        f"nullif(trim(found[{number}]), '') as {name}" for number, name in enumerate(paths, start=1)
    )
    # Only an escape can make the character 0, and hardly any record has one.
    return f"""drawn as (
        select export, place, line, context, raw, {columns}
        from (
            select * replace (
                case when contains(raw, '\\u0000')
                     then list_transform(found, lambda text: replace(text, chr(0), ''))
                     else found end as found)
            from (select *, json_extract_string(raw, [{listed}]) as found from {table})))"""


def load_listens(layout: Layout, request: Request) -> Dataset:
    """Both sources of the exports under a path.

    Raises:
        SourceError: No export is there, a file cannot be read, or no record of it is a listen.
    """
    files = find_exports(request.path, layout.files, example=layout.example)
    listens = Listens(layout, request, files)
    for records in _batches(layout, request, files, listens.refusals):
        listens.connection.register("records", records)
        listens.take()
    return listens.dataset()


@dataclass(frozen=True, slots=True)
class Refusals:
    """Records that are no listens: their number by reason, and where the first of each stands."""

    counts: Counter[str]
    first: dict[str, str]

    def add(self, reason: str, count: int, where: str) -> None:
        """Count records; the first of a reason says where it stands, or nothing."""
        self.counts[reason] += count
        self.first.setdefault(reason, where)

    def lines(self) -> tuple[str, ...]:
        """A line of text for each reason, the most frequent first."""
        return tuple(
            f"{count:,} records: {reason}"
            + (f" (first: {self.first[reason]})" if self.first[reason] else "")
            for reason, count in self.counts.most_common()
        )


class Listens:
    """The listens of one load, collected from tables of records and given as both sources.

    connection: what `take` reads is its table or view `records`, with export, place (the number of
    the file), line, and what the layout's meaning draws on.
    """

    def __init__(self, layout: Layout, request: Request, files: list[ExportFile]) -> None:
        self.connection = opened(request.scratch)
        self.refusals = Refusals(Counter(), {})
        self._layout, self._files = layout, files
        self._latest = int(request.now.timestamp() * 1000)
        typed = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items() if name != "reason")
        self.connection.execute(
            f"create table listens (export int, place int, line bigint, {typed})"
        )

    def take(self) -> None:
        """Keep the listens among `records`; count the others by reason."""
        names = ", ".join(
            name for name in ("export", "place", "line", *COLUMNS) if name != "reason"
        )
        self.connection.execute(f"""
            create or replace temp table batch as
            with meant as ({self._layout.meaning})
            select {names}, coalesce(reason, {_common_reason(self._latest)}) as reason from meant;
            insert into listens select {names} from batch where reason is null""")
        for reason, count, first in self.connection.execute(_REFUSED).fetchall():
            self.refusals.add(reason, count, _where(self._files, *first.values()))

    def dataset(self) -> Dataset:
        """What was taken as accounts, catalogue and events.

        Raises:
            SourceError: Nothing was taken.
        """
        connection, layout = self.connection, self._layout
        connection.execute(_owners(layout))
        connection.execute(_plays(layout))
        rows, first, last = connection.execute(
            "select count(*), min(started_ms), max(started_ms) from plays"
        ).fetchall()[0]
        if not rows:
            raise self._empty()
        if repeated := _count(connection, "listens") - rows:
            self.refusals.add("the user, time, title and time played of another", repeated, "")
        return Dataset(
            source=layout.name,
            users=connection.execute(_USERS).fetchall(),
            artists=streamed(connection, _ARTISTS),
            tracks=streamed(connection, _TRACKS),
            days=_days(connection, layout),
            first=_day(first),
            last=_day(last),
            real=layout.real,
            composed=(*layout.composed, "the day an account was made: that of its first listen"),
            left_out=self.refusals.lines(),
            refused=dict(self.refusals.counts),
            exports=_single(connection, [file.export for file in self._files]),
        )

    def _empty(self) -> SourceError:
        why = "; ".join(self.refusals.lines()) or "there is none"
        return SourceError(
            f"None of the records is a listen ({why}).",
            where=str(self._files[0].path),
            data="Nothing was written; the sources stay as they were.",
            remedy=f"Point to an export of {self._layout.name} as it was downloaded.",
        )


_REFUSED = """
    select reason, count(*), min({'place': place, 'line': line}) from batch
    where reason is not null group by reason order by reason
"""


def _common_reason(latest: int) -> str:
    return f"""case
        when started_ms is null then 'no instant'
        when started_ms < {EARLIEST_MS} then 'an instant before 2000'
        when started_ms > {latest} then 'an instant in the future'
        when artist is null then 'no artist'
        when title is null then 'no title'
        when ms_played < 0 then 'a negative time played' end"""


def _batches(
    layout: Layout, request: Request, files: list[ExportFile], refusals: Refusals
) -> Iterator[pa.Table]:
    """Tables of up to `ROWS_AT_ONCE` records; what is no JSON is counted and left out."""
    exports = {name: number for number, name in enumerate(dict.fromkeys(f.export for f in files))}

    def rows() -> Iterator[tuple[int, int, int, str, str]]:
        for place, file in enumerate(files):
            for record, context in layout.read(file, request):
                if record.refused is None:
                    yield exports[file.export], place, record.line, context, record.text
                else:
                    reason = UNREAD.get(record.refused, record.refused)
                    refusals.add(reason, 1, _where(files, place, record.line))

    found = rows()
    while some := list(islice(found, ROWS_AT_ONCE)):
        columns = zip(*some, strict=True)
        types = (pa.int32(), pa.int32(), pa.int64(), pa.string(), pa.large_string())
        arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
        yield pa.table(arrays, names=("export", "place", "line", "context", "raw"))


def _where(files: list[ExportFile], place: int, line: int) -> str:
    file = files[place]
    return f"{file.member or file.path.name}, line {line:,}"


# An export whose records name one user is all that user's. Users go by number: a name of a person,
# or of a folder, is not stored.
_OWNERS = """
    create table owners as
    with said as (
        select export, count(distinct owner) as named, min(owner) as name from listens
        group by export),
    found as (
        select l.export, l.owner, min(l.place) as place, min(l.line) as line,
               coalesce(l.owner, case when any_value(s.named) = 1 then any_value(s.name) end,
                        'export ' || l.export) as person
        from listens l join said s using (export) group by l.export, l.owner),
    people as (
        select person, row_number() over (order by min({{'place': place, 'line': line}})) as number
        from found group by person)
    select export, owner, '{source}-' || {number} as user_id, number
    from found join people using (person)
"""
# A name without an id is the artist of that name where exactly one id bears it, else an artist of
# its own under a digest of the name.
_PLAYS = """
    create table known_names as
    select artist, min(artist_id) as known_id from listens
    where artist_id is not null and not is_joint
    group by artist having count(distinct artist_id) = 1;
    create table plays as
    with kept as (
        select l.*, o.user_id, o.number
        from listens l join owners o on o.export = l.export and o.owner is not distinct from l.owner
        {once}),
    found as (
        select kept.* replace (
            coalesce(kept.artist_id, known_id, left(sha256(kept.artist), 24)) as artist_id,
            case when length_ms between 1 and {longest} then length_ms end as length_ms)
        from kept left join known_names k on kept.artist_id is null and k.artist = kept.artist)
    select * replace (
        coalesce(track_id, left(sha256(artist_id || chr(10) || title), 24)) as track_id)
    from found
"""
_ONCE = """qualify row_number() over (
            partition by o.number, started_ms, title, ms_played order by place, line) = 1"""
_USERS = """
    with countries as (
        select number, country, count(*) as plays from plays
        where regexp_matches(country, '^[A-Z]{2}$') and country <> 'ZZ' group by all),
    homes as (select number, arg_max(country, {'plays': plays, 'name': country}) as home
              from countries group by number)
    select user_id, null, null, null, null, null, null, any_value(home),
           make_timestamp(min(started_ms) * 1000)::timestamptz, null
    from plays left join homes using (number) group by number, user_id order by number
"""
# Of the names that an id goes by, the one that most records give that name no further artist.
_ARTISTS = """
    with named as (
        select artist_id, artist, count(*) filter (not is_joint) as alone, count(*) as plays
        from plays group by all)
    select artist_id, arg_max(artist, {'alone': alone, 'plays': plays, 'name': artist}),
           null, null, []::varchar[]
    from named group by artist_id order by artist_id
"""
_TRACKS = f"""
    with lengths as (
        select track_id, length_ms, count(*) as plays from plays where length_ms > 0 group by all),
    usual as (
        select track_id, arg_max(length_ms, {{'plays': plays, 'ms': length_ms}}) as length_ms
        from lengths group by track_id),
    tracks as (
        select track_id, arg_min(artist_id, {{'place': place, 'line': line}}) as artist_id,
               arg_min(title, {{'place': place, 'line': line}}) as title,
               max(ms_played) filter (ms_played <= {LONGEST_MS}) as longest
        from plays group by track_id)
    select track_id, artist_id, title,
           coalesce(length_ms, greatest(longest, {TRACK_MS}), {TRACK_MS})::int, null
    from tracks left join usual using (track_id) order by track_id
"""
# The time played is the export's; else none for a skip, else the length of the track.
_EVENTS = """
    with numbered as (
        select *, row_number() over (order by started_ms, number, place, line) - 1 as n from plays)
    select (started_ms // 86400000)::int, to_json({{
        'event_id': '{source}-' || {event},
        'event_type': 'play',
        'occurred_at': strftime(make_timestamp(started_ms * 1000), '%Y-%m-%dT%H:%M:%S.%g+00:00'),
        'user_id': user_id,
        'source': '{source}',
        'source_seq': n,
        'simulated': false,
        'artist_id': artist_id,
        'track_id': track_id,
        'ms_played': coalesce(
            ms_played, case when was_skipped then 0 end, length_ms, {track_ms}),
        'slate_id': null,
        {own}
        'ms_played_from': case
            when ms_played is not null then 'export'
            when was_skipped then 'skip'
            when length_ms is not null then 'track length'
            else 'assumed length' end
    }})::varchar
    from numbered order by n
"""


_CONTENT = """left(md5(concat_ws(
            '|', user_id, started_ms, artist_id, title, coalesce(ms_played, -1))), 24)"""


def _owners(layout: Layout) -> str:
    return _OWNERS.format(source=layout.name, number="owner" if layout.numbered else "number")


def _plays(layout: Layout) -> str:
    return _PLAYS.format(once="" if layout.numbered else _ONCE, longest=LONGEST_MS)


def _days(connection: duckdb.DuckDBPyConnection, layout: Layout) -> Iterator[Day]:
    own = "".join(f"'{name}': {column}, " for name, column in layout.own.items())
    query = _EVENTS.format(
        source=layout.name,
        event="n" if layout.numbered else _CONTENT,
        own=own,
        track_ms=TRACK_MS,
    )
    rows = streamed(connection, query)
    for day, found in groupby(rows, key=lambda row: row[0]):
        lines = [line for _, line in found]
        yield Day(_day(day * 86_400_000), Counter(play=len(lines)), lines)


def _single(connection: duckdb.DuckDBPyConnection, exports: list[str]) -> dict[str, str]:
    """The export of each user whose export is of no other user."""
    names = list(dict.fromkeys(exports))
    rows = connection.execute(
        "select min(user_id), export from owners group by export "
        "having count(distinct user_id) = 1 order by min(number), export"
    ).fetchall()
    found: dict[str, str] = {}
    for user, export in rows:
        found[user] = f"{found[user]}, {names[export]}" if user in found else names[export]
    return found


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    return int(connection.execute(f"select count(*) from {table}").fetchall()[0][0])


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).date()

"""Objects of the event store that hold users: listed, and rewritten where that is asked."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter

import pyarrow as pa

from firstchair.erasure.identity import ERASED, Identities, Identity
from firstchair.events import user_ids
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.mappings import EventMapping
from firstchair.sources import EventStore, Record

# Records, and letters of them, that are looked at together.
RECORDS_AT_ONCE, LETTERS_AT_ONCE = 10_000, 8 << 20


@dataclass(frozen=True, slots=True)
class Landed:
    """The event objects, and how their records are read.

    now: the instant of the erasure. mapping: how records of another form are read.
    """

    store: EventStore
    now: datetime
    mapping: EventMapping | None = None

    def objects_with(self, identities: Identities) -> dict[Identity, list[str]]:
        """Names of the objects that hold each user, ascending; all objects are read once.

        Raises:
            SourceError: The store cannot be reached.
        """
        found: dict[Identity, dict[str, None]] = defaultdict(dict)
        landed = (
            (name, record) for name in self.store.states() for record in self.store.records(name)
        )
        # Of many objects together: to ask the engine takes as long for one record as for many.
        for some in _in_batches(landed):
            for name, identity in self._holders(some, identities):
                found[identity][name] = None
        return {identity: sorted(names) for identity, names in found.items()}

    def rewrite(self, lake: Lake, names: Iterable[str], identities: Identities) -> list[str]:
        """Write objects again without the users' records; the names of those that were written.

        Every other record keeps its text and its line, so that places in quarantine/events stay
        right; an array becomes one value a line. An object is left as it is where a record cannot
        be read whole or two stand on one line. The new version is noted as read, object by object,
        so that no alert is raised for it.

        Raises:
            SourceError: The store cannot be reached, or an object cannot be written.
        """
        done = []
        for name in names:
            records = list(self.store.records(name))
            if not all(map(_is_whole, records)):
                continue
            plain = _on_their_lines(self._kept(records, identities))
            if plain is None:
                continue
            state = self.store.replace(name, plain)
            _note_version(lake, name, state.version)
            done.append(name)
        return done

    def _holders(
        self, landed: Sequence[tuple[str, Record]], identities: Identities
    ) -> Iterator[tuple[str, Identity]]:
        """Objects with who stands in them: as the user of a record, or by a name in a text."""
        owners = self._owners([record for _, record in landed], identities)
        for (name, _), owner in zip(landed, owners, strict=True):
            if owner is not None:
                yield name, owner
        named = Identities(list(identities.users_in(_joined(landed))))
        for name, of_one in groupby(landed, key=itemgetter(0)):
            for identity in named.users_in(_joined(of_one)):
                yield name, identity

    def _owners(self, records: Sequence[Record], identities: Identities) -> list[Identity | None]:
        """Those of the users whose event each record is."""
        by_id = {identity.user_id: identity for identity in identities}
        users = user_ids(records, now=self.now, mapping=self.mapping)
        return [None if user is None else by_id.get(user) for user in users]

    def _kept(
        self, records: Sequence[Record], identities: Identities
    ) -> Iterator[tuple[int, bytes]]:
        """Line and bytes of each record of others; names in them are masked.

        Whose a refused record is cannot be read, so it goes where it names one of the users.
        """
        owners = self._owners(records, identities)
        for record, owner in zip(records, owners, strict=True):
            text = _bytes(record)
            named = identities.users_in(text)
            if owner is not None or (named and record.refused):
                continue
            for identity in named:
                text = identity.masked(text)
            yield record.line, text


def _is_whole(record: Record) -> bool:
    """Whether a record's text gives its bytes again."""
    return len(_bytes(record)) >= record.size and not (record.refused and "\ufffd" in record.text)


def _bytes(record: Record) -> bytes:
    return record.text.encode("utf-8", "surrogatepass")


def _in_batches(landed: Iterable[tuple[str, Record]]) -> Iterator[list[tuple[str, Record]]]:
    some: list[tuple[str, Record]] = []
    letters = 0
    for name, record in landed:
        some.append((name, record))
        letters += len(record.text)
        if len(some) == RECORDS_AT_ONCE or letters >= LETTERS_AT_ONCE:
            yield some
            some, letters = [], 0
    if some:
        yield some


def _joined(landed: Iterable[tuple[str, Record]]) -> bytes:
    return b"\n".join(_bytes(record) for _, record in landed)


def _on_their_lines(records: Iterable[tuple[int, bytes]]) -> bytes | None:
    """The records, each on its line; None where one would begin on the line of another."""
    lines: list[bytes] = []
    for line, text in records:
        if line <= len(lines):
            return None
        lines += [b""] * (line - 1 - len(lines))
        lines += text.split(b"\n")
    return b"\n".join(lines) + b"\n"


def _note_version(lake: Lake, name: str, version: str) -> None:
    """Note what an object is now as what was read."""
    row = {
        "batch_id": ERASED,
        "object_url": name,
        "store_version": version,
        "was_read": True,
    }
    lake.append(t.OBJECT_VERSIONS, pa.Table.from_pylist([row], schema=t.OBJECT_VERSIONS.schema))

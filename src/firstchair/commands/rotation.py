"""`firstchair rotate-key`: a new pseudonym key, with everything that holds pseudonyms under it."""

import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from firstchair import events
from firstchair.commands.run import Progress
from firstchair.errors import FirstchairError, RunError
from firstchair.events.personal import is_account_key
from firstchair.files import replace_file, sync_file, sync_folder
from firstchair.lake import drop_earlier_versions, remove_left, vacuum
from firstchair.lake import tables as t
from firstchair.outbox.spooled import is_written_to
from firstchair.platform.platform import Platform
from firstchair.platform.work import writing
from firstchair.privacy.places import TablePlace, table_places
from firstchair.privacy.rekeying import PAIRS, pairs, rekey_table
from firstchair.promotion import Reason, note
from firstchair.promotion.kept_buckets import keep_buckets
from firstchair.publication import copy_to
from firstchair.publication.rekeying import published_keys, rekey_published
from firstchair.signals.signal_log import rekey_signals
from firstchair.sources import EventStore, Record

WHO = "firstchair rotate-key"
# What an interrupted rotation is completed by, in the folder of the rotation.
KEY, FOUND = "key", "pairs.parquet"
_NAMED_KEY = re.compile(r'"([^"\\]{1,60})":"([0-9a-f]{32})"')


@dataclass(frozen=True, slots=True)
class RotationReport:
    """What was done; after a rotation that was interrupted, what was left to do.

    users: pseudonyms that were replaced. orphans: those of them whose account key is in no account
    and no object any more, so that a later event of theirs is another user's. tables: rows written
    by table. published: versions written anew. decision_id: of the entry in the ledger; None before
    the first decision. setting: whether the setting `pseudonym_key` holds the old key now.
    """

    users: int
    orphans: int
    tables: dict[str, int] = field(default_factory=dict)
    published: int = 0
    decision_id: str | None = None
    resumed: bool = False
    setting: bool = False


def rotate_key(platform: Platform, *, progress: Progress | None = None) -> RotationReport:
    """Draw a new pseudonym key and put everything that holds pseudonyms under it.

    Tables, published lists and signals get the new pseudonyms; files and versions with the old ones
    are removed, so decisions before it cannot be recomputed any more. Users stay in their arms and
    keep their lists. Every step can be repeated: a rotation that was interrupted is completed by
    the next call, and until then nothing else opens the platform.

    Args:
        platform: Opened with `rotating`.
        progress: Told of each step before it begins.

    Raises:
        RunError: Another writer or a login worker is at work; nothing was changed.
        SourceError: The accounts or the event store cannot be read; nothing was changed.
        LakeError, LedgerError: A step failed; the same command completes the rotation.
    """
    with writing(platform.databases.ledger, who=WHO, wait=False):
        return _Rotation(platform, progress or (lambda _step, _done, _total: None)).through()


class _Rotation:
    """One call: what an earlier one left, and the steps in their order."""

    def __init__(self, platform: Platform, progress: Progress) -> None:
        self.platform, self.progress = platform, progress
        self.folder: Path = platform.settings.rotation
        self.tables: dict[str, int] = {}
        self.published = 0
        self.decision_id: str | None = None

    def through(self) -> RotationReport:
        resumed = (self.folder / FOUND).exists()
        with self._alone():
            remove_left(self.platform.lake.spark)
            steps: list[tuple[str, Callable[[], None]]] = [
                ("users", self._find),
                ("arms", self._keep_arms),
                *((place.table.name, self._table(place)) for place in table_places()),
                ("published lists", self._publish),
                ("signals of today", self._signals),
                ("ledger", self._note),
                ("key", self._replace_key),
            ]
            for number, (name, step) in enumerate(steps):
                self.progress(name, number, len(steps))
                step()
        self.progress("key", len(steps), len(steps))
        report = RotationReport(
            users=self.found.num_rows,
            orphans=sum(self.found["orphan"].to_pylist()),
            tables=self.tables,
            published=self.published,
            decision_id=self.decision_id,
            resumed=resumed,
            setting=bool(self.platform.settings.pseudonym_key.get_secret_value()),
        )
        self._remove_folder()
        return report

    def _remove_folder(self) -> None:
        """Remove what a rotation is completed by, at once as far as others can see."""
        done = self.folder.with_name(f"{self.folder.name}.done")
        shutil.rmtree(done, ignore_errors=True)
        self.folder.rename(done)
        shutil.rmtree(done)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep all others from opening the platform; running login workers are asked to end."""
        is_new = not self.folder.exists()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if is_written_to(self.platform.settings.spool):
            if is_new:
                self.folder.rmdir()
            raise RunError(
                "Login workers are running, and they know users by the old key.",
                where=str(self.platform.settings.spool),
                data="Nothing was changed.",
                remedy="End `firstchair up`, run `firstchair rotate-key`, then start it again.",
            )
        try:
            yield
        except FirstchairError:
            if not (self.folder / FOUND).exists():  # nothing was changed yet
                self._remove_folder()
            raise

    @cached_property
    def found(self) -> pa.Table:
        """Old and new pseudonym of every user."""
        return pq.read_table(self.folder / FOUND, schema=PAIRS)

    @cached_property
    def new(self) -> Mapping[str, str]:
        """New pseudonym by old one."""
        columns = (self.found[name].to_pylist() for name in ("old", "new"))
        return dict(zip(*columns, strict=True))

    def _find(self) -> None:
        """Draw the key and pair the pseudonyms; kept whole before anything is changed."""
        if (self.folder / FOUND).exists():
            return
        settings = self.platform.settings
        # Nothing is under a key that an earlier call drew and did not come to pair.
        new_key = secrets.token_hex(32).encode()
        replace_file(self.folder / KEY, new_key, mode=0o600)
        found = pairs(
            self.platform.lake,
            self.platform.databases.accounts,
            EventStore(settings.events_url, {}),
            old_key=settings.pseudonym_key_before_rotation(),
            new_key=new_key,
            user_ids=self._user_ids,
            mapping=settings.accounts.mapping.users,
            others=published_keys(settings.published) | self._in_quarantine(),
        )
        partial = self.folder / f"{FOUND}.partial"
        pq.write_table(found, partial)
        partial.chmod(0o600)
        sync_file(partial)
        partial.replace(self.folder / FOUND)
        sync_folder(self.folder)

    def _user_ids(self, records: Sequence[Record]) -> set[str]:
        """Account keys of the events among some records of the event store."""
        mapping = self.platform.settings.events.mapping
        found = events.parsed_fields(records, now=self.platform.now, mapping=mapping)
        return {event["user_id"] for event in found}

    def _in_quarantine(self) -> set[str]:
        """Pseudonyms that masking put in the place of account keys in refused records."""
        rows = self.platform.lake.read(t.QUARANTINE_EVENTS, "batch_id is not null")
        named = (
            match
            for raw in rows["raw"].to_pylist()
            if raw is not None
            for match in _NAMED_KEY.finditer(raw)
        )
        return {match[2] for match in named if is_account_key(match[1])}

    def _keep_arms(self) -> None:
        last = self.platform.ledger.last()
        phase = None if last is None else last.phase
        shares = [self.platform.settings.canary_share] + ([] if phase is None else [phase.share])
        keep_buckets(self.platform.lake, self.platform.arms(), self.new.items(), shares=shares)

    def _table(self, place: TablePlace) -> Callable[[], None]:
        """The step that rewrites a table, and removes what holds its old pseudonyms."""

        def step() -> None:
            if rows := rekey_table(self.platform.lake, place, self.found):
                self.tables[place.table.name] = rows
            vacuum(self.platform.lake, place.table)
            drop_earlier_versions(self.platform.lake, place.table)

        return step

    def _publish(self) -> None:
        settings = self.platform.settings
        self.published = rekey_published(settings.published, self.new)
        copy_to(settings.published_url, settings.published)

    def _signals(self) -> None:
        rekey_signals(self.platform.settings.spool / "signals", self.new)

    def _note(self) -> None:
        entry = note(
            self.platform.ledger,
            Reason.KEY_ROTATED,
            f"The pseudonym key was replaced; {self.found.num_rows:,} users have new pseudonyms "
            "and stay in their arms. Decisions before it cannot be recomputed.",
            identity=self._identity(),
            actor=WHO,
            now=self.platform.now,
            evidence={"users": self.found.num_rows},
        )
        self.decision_id = None if entry is None else entry.decision_id

    def _identity(self) -> str:
        """Drawn once a rotation; it tells nothing of the keys."""
        path = self.folder / "identity"
        if not path.exists():
            replace_file(path, secrets.token_hex(8).encode())
        return path.read_text()

    def _replace_key(self) -> None:
        if (self.folder / KEY).exists():
            self.platform.settings.replace_pseudonym_key(self.folder / KEY)

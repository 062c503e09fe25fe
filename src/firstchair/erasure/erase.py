"""Users taken out of everything that is ours, step by step, under the lock of all writers."""

import getpass
import json
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path

from firstchair.erasure.identity import Identities, Identity
from firstchair.erasure.landing import Landed
from firstchair.erasure.lists import publish_without
from firstchair.erasure.masking import mask_files
from firstchair.erasure.models import Refit, able_to_serve, others, refit
from firstchair.erasure.rows import erase as erase_in_database
from firstchair.erasure.spooled import erase_signals, erase_spooled
from firstchair.erasure.tables import erase_rows
from firstchair.erasure.verify import identify_users
from firstchair.files import replace_file
from firstchair.lake import connect, remove_left, require_spark
from firstchair.lake import tables as t
from firstchair.platform.platform import Platform
from firstchair.platform.work import writing
from firstchair.promotion import Entry
from firstchair.promotion.erasures import record_erasure
from firstchair.sources import EventStore, Tombstone

Progress = Callable[[str, int, int], None]
# Names of objects, by the user whom they hold.
Objects = Mapping[Identity, Sequence[str]]
STEPS = 8


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was done for one user.

    erasure_id: of the entry in the ledger. rows: of lake tables, by table. spooled, signals: lines.
    refits: versions that were fitted again. others_fitted_before: versions that serve nobody, were
    fitted with the user, and stay. published: the publication that is served now; None where there
    is none. publications_removed: earlier ones that held the user. masked: files in which the
    user's names were crossed out. databases: rows changed, by table. landing: objects of the event
    store that hold the user. rewritten: those that were written again without them. seconds: by
    step, of all users of the call together.
    """

    erasure_id: str
    already: bool
    rows: dict[str, int]
    spooled: int
    signals: int
    refits: tuple[Refit, ...]
    others_fitted_before: int
    published: str | None
    publications_removed: tuple[str, ...]
    masked: tuple[str, ...]
    databases: dict[str, int]
    landing: tuple[str, ...]
    rewritten: tuple[str, ...]
    ledger_entry: int
    seconds: dict[str, float]


@dataclass(slots=True)
class _State:
    """What a killed erasure has to know when it is started again; it names nobody.

    known_from: day of the user's first event, ISO 8601; empty where they had none. planned:
    versions to fit again. refits: those that were.
    """

    known_from: str = ""
    planned: list[str] = field(default_factory=list)
    refits: list[dict[str, str | bool | float]] = field(default_factory=list)


@dataclass(slots=True)
class _Leaving:
    """A user who is forgotten; already: whether an erasure of them was finished before."""

    identity: Identity
    tombstone: Tombstone
    already: bool
    state_file: Path
    state: _State = field(default_factory=_State)

    @property
    def refits(self) -> list[Refit]:
        """Versions that were fitted again without the user."""
        return [Refit(**one) for one in self.state.refits]  # type: ignore[arg-type]


@dataclass(slots=True)
class _Clock:
    progress: Progress
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self.progress(name, len(self.seconds), STEPS)
        began = time.monotonic()
        yield
        self.seconds[name] = round(time.monotonic() - began, 2)


def forget(
    platform: Platform,
    user_id: str,
    *,
    rewrite_landing: bool = False,
    progress: Progress = lambda *_: None,
) -> Erasure:
    """Take one user out of everything, as `forget_users` does."""
    return forget_users(platform, [user_id], rewrite_landing=rewrite_landing, progress=progress)[0]


def forget_users(
    platform: Platform,
    user_ids: Sequence[str],
    *,
    rewrite_landing: bool = False,
    progress: Progress = lambda *_: None,
) -> list[Erasure]:
    """Take users out of lake, lists, models, spool, reports, databases; write that to the ledger.

    The tombstones come first, so that nothing of the users comes in meanwhile. Every step may be
    repeated: the same call again completes an erasure that was killed, and a later call finds
    nothing and writes no second entry. Everything is read, fitted and published once for all users
    of a call.

    Args:
        platform: Everything that is ours.
        user_ids: Keys of the account table, each once; accounts need not be there any more.
        rewrite_landing: Whether the objects of the event store are written again without the users.
        progress: Told of each step.

    Returns:
        What was done, in the order of the users.

    Raises:
        SettingsError: ALS is fitted by Spark, which cannot run here; nothing was read or written.
        WriterBusyError: Another writer is at work; nothing was read or written.
        RunError: A login worker does not close a file of the spool with events of the users.
        SourceError, LakeError, ModelError, PublicationError, LedgerError: A store cannot be
            reached; what was done stays done, and the same call again goes on.
    """
    if platform.lake.spark.fits_als:
        require_spark()
    clock = _Clock(progress)
    with writing(platform.databases.ledger, who="firstchair forget", wait=False):
        marked = [_tombstone(platform, user_id) for user_id in user_ids]
        identities = identify_users(platform, user_ids)
        leaving = [
            _leaving(platform, identity, *mark)
            for identity, mark in zip(identities, marked, strict=True)
        ]
        return _forgotten(platform, leaving, identities, clock, rewrite_landing)


def _leaving(
    platform: Platform, identity: Identity, tombstone: Tombstone, already: bool
) -> _Leaving:
    state_file = platform.settings.forgotten / f"{tombstone.erasure_id}.json"
    return _Leaving(identity, tombstone, already, state_file)


def _forgotten(
    platform: Platform,
    leaving: Sequence[_Leaving],
    identities: Identities,
    clock: _Clock,
    rewrite_landing: bool,
) -> list[Erasure]:
    spool = platform.settings.spool
    with clock.step("tables"):
        remove_left(platform.lake.spark)
        for one in leaving:
            one.state = _planned(platform, one.identity, one.state_file)
        rows = erase_rows(platform.lake, identities, now=platform.now)
    with clock.step("spool and signals"):
        spooled = erase_spooled(spool, identities)
        signals = erase_signals(spool / "signals", identities)
    with clock.step("models"):
        _refit(platform, leaving)
    with clock.step("lists"):
        fitted = any(one.state.planned for one in leaving)
        published, removed = publish_without(platform, identities, fitted=fitted)
    with clock.step("files"):
        masked = mask_files(platform, identities)
    with clock.step("databases"):
        databases = _mask_rows(platform, identities)
    with clock.step("landing"):
        landing, rewritten = _landing(platform, identities, rewrite_landing=rewrite_landing)
    with clock.step("ledger"):
        recorded = [_recorded(platform, one) for one in leaving]
    return [
        Erasure(
            erasure_id=one.tombstone.erasure_id,
            already=one.already,
            rows=rows.get(one.identity, {}),
            spooled=spooled[one.identity],
            signals=signals[one.identity],
            refits=tuple(one.refits),
            others_fitted_before=left,
            published=published,
            publications_removed=tuple(removed),
            masked=tuple(masked.get(one.identity, ())),
            databases=databases.get(one.identity, {}),
            landing=tuple(landing.get(one.identity, ())),
            rewritten=tuple(rewritten.get(one.identity, ())),
            ledger_entry=entry.sequence,
            seconds=clock.seconds,
        )
        for one, (entry, left) in zip(leaving, recorded, strict=True)
    ]


def _recorded(platform: Platform, one: _Leaving) -> tuple[Entry, int]:
    """The entry of a user's erasure, which ends with it; versions that are left as fitted."""
    entry = _record(platform, one.tombstone, one.refits)
    left = _left_as_fitted(platform, one.state)
    _finish(platform, one.tombstone, one.state_file)
    return entry, left


def _record(platform: Platform, tombstone: Tombstone, refits: list[Refit]) -> Entry:
    return record_erasure(
        platform.registry,
        platform.ledger,
        erasure_id=tombstone.erasure_id,
        refitted=[one.record() for one in refits],
        person=getpass.getuser(),
        now=platform.now,
    )


def _tombstone(platform: Platform, user_id: str) -> tuple[Tombstone, bool]:
    """The tombstone of the user, made now where there is none; whether an erasure was finished."""
    tombstones = platform.tombstones
    if (known := tombstones.of(user_id)) is not None:
        return known, known.done
    made = Tombstone(
        tombstones.hash_of(user_id), uuid.uuid4().hex[:16], platform.now.isoformat(), done=False
    )
    tombstones.put(made)
    return made, False


def _planned(platform: Platform, identity: Identity, path: Path) -> _State:
    """What is to be fitted again, found before the user's rows are gone."""
    if path.exists():
        return _State(**json.loads(path.read_text()))
    with connect() as connection:
        row = connection.execute(
            f"select min(event_date) from {platform.lake.scan(t.BRONZE_EVENTS)} "
            f"where user_key = '{identity.user_key}'"
        ).fetchone()
    first = None if row is None else row[0]
    state = _State()
    if first is not None:
        found = able_to_serve(platform.registry, platform.ledger, known_from=first)
        state = _State(str(first), [version.version for version in found])
    _keep(path, state)
    return state


def _keep(path: Path, state: _State) -> None:
    replace_file(path, json.dumps(asdict(state)).encode())


def _refit(platform: Platform, leaving: Sequence[_Leaving]) -> None:
    """Fit once what is planned for any of the users and was not fitted yet, in order."""
    for number in sorted({n for one in leaving for n in one.state.planned}, key=int):
        waiting = [one for one in leaving if _waits_for(one.state, number)]
        version = platform.registry.find(number)
        if not waiting or version is None:
            continue
        found = refit(platform.lake, platform.registry, version, seed=platform.settings.seed)
        platform.ledger.note_registered(replace(version, data_fingerprint=found.after))
        for one in waiting:
            one.state.refits.append(asdict(found))
            _keep(one.state_file, one.state)


def _waits_for(state: _State, number: str) -> bool:
    """Whether a version is to be fitted again without the user of this state."""
    return number in state.planned and number not in {str(one["version"]) for one in state.refits}


def _mask_rows(platform: Platform, identities: Identities) -> dict[Identity, dict[str, int]]:
    masked: dict[Identity, dict[str, int]] = defaultdict(dict)
    for name, url in platform.databases.owned.items():
        for identity, tables in erase_in_database(url, identities).items():
            masked[identity] |= {f"{name}.{table}": rows for table, rows in tables.items()}
    return masked


def _landing(
    platform: Platform, identities: Identities, *, rewrite_landing: bool
) -> tuple[Objects, Objects]:
    """Objects of the event store that still hold each user, and those that were rewritten."""
    settings = platform.settings
    landed = Landed(EventStore(settings.events_url, {}), platform.now, settings.events.mapping)
    found = landed.objects_with(identities)
    if not rewrite_landing:
        return found, {}
    holding = {name for names in found.values() for name in names}
    done = landed.rewrite(platform.lake, sorted(holding), identities)
    left = {one: [name for name in names if name not in done] for one, names in found.items()}
    gone = {one: [name for name in names if name in done] for one, names in found.items()}
    return left, gone


def _left_as_fitted(platform: Platform, state: _State) -> int:
    if not state.known_from:
        return 0
    first = date.fromisoformat(state.known_from)
    return others(platform.registry, state.planned, known_from=first)


def _finish(platform: Platform, tombstone: Tombstone, state_file: Path) -> None:
    """Mark the erasure as finished; from now on only a tombstone is left of it."""
    done = Tombstone(tombstone.user_hash, tombstone.erasure_id, tombstone.forgotten_at, done=True)
    platform.tombstones.put(done)
    state_file.unlink(missing_ok=True)

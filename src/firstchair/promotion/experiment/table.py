"""Convert rows of evidence to arrays: columns are checked, unusable rows left out and counted."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from firstchair.definitions.segments import UNKNOWN
from firstchair.promotion.experiment.evidence import (
    BEFORE,
    BEFORE_DAYS,
    COLUMNS,
    LABELS,
    MEASURES,
    OPTIONAL,
    SEGMENTS,
    Codes,
    Evidence,
    LeftOut,
    Segment,
    Values,
    refused,
)

Arms = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

# Both names of each arm.
ARM_CODES = {"champion": 0, "control": 0, "challenger": 1, "treatment": 1}
EPOCH = date(1970, 1, 1)


def as_evidence(
    table: pa.Table,
    *,
    where: str = "evidence",
    bad_days: Collection[date] = (),
    most_days: int | None = None,
) -> Evidence:
    """Convert the rows of a table to evidence.

    These are left out and counted: users in both arms, clicks in excess of a row's impressions,
    repeated rows, and rows that contradict each other about a user's day.

    Args:
        table: Columns `COLUMNS`, one row per user and day, in any order. Those of `OPTIONAL` are
            read where every row has a value.
        where: Name of the table in error texts.
        bad_days: Days with bad records. They are no days of the stage: of their rows, only the arm
            of a user and what is known from before the stage are used.
        most_days: Most days from the first row to the last that a stage can have; None: any number.

    Raises:
        BadEvidenceError: A column is missing, a value is out of its range, or a row lies further
            from the others than a stage lasts.
    """
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise refused(
            f"{len(missing)} of {len(COLUMNS)} columns are missing: {', '.join(missing)}.", where
        )
    if not table.num_rows:
        raise refused("There is no row.", where)
    days = _days(table.column("day"), where)
    keys = _texts(table.column("user_key"), "user_key", where)
    arms = _texts(table.column("arm"), "arm", where)
    if unknown := sorted(set(arms.dictionary.to_pylist()) - set(ARM_CODES)):
        raise refused(
            f"Unknown arm {unknown[0]!r}; "
            "the arms are champion (or control) and challenger (or treatment).",
            where,
        )
    numbers = {
        name: _numbers(table.column(name), name, where)
        for name in (*MEASURES, *LABELS, *BEFORE, *_present(table))
    }
    _check_ranges(numbers, where)
    _check_span(days, most_days, where)
    arm = np.array([ARM_CODES[text] for text in arms.dictionary.to_pylist()], dtype=np.int8)[
        np.asarray(arms.indices)
    ]
    user = _ranks(keys)
    kept, found = _sound_rows(table, user, days, arm, where)
    sound, excess = _without_excess(numbers, arm)
    return _arranged(
        table.select(SEGMENTS).take(kept),
        user[kept],
        days[kept],
        arm[kept],
        {name: values[kept] for name, values in sound.items()},
        bad_days,
        (*found, excess),
    )


def _present(table: pa.Table) -> list[str]:
    """Columns of `OPTIONAL` in which every row has a value."""
    return [n for n in OPTIONAL if n in table.column_names and not table.column(n).null_count]


def _arranged(
    segments: pa.Table,
    user: Codes,
    days: Codes,
    arm: Arms,
    numbers: Mapping[str, Values],
    bad_days: Collection[date],
    found: tuple[LeftOut, ...],
) -> Evidence:
    """Arrange sorted rows as arrays; what is fixed of a user is that of their first row."""
    _, first_rows, user = np.unique(user, return_index=True, return_inverse=True)
    dates = np.setdiff1d(
        np.arange(days.min(), days.max() + 1), [(day - EPOCH).days for day in bad_days]
    )
    inside = np.isin(days, dates)
    days = days[inside]
    offsets = np.append(np.searchsorted(days, dates), len(days)).astype(np.int64)
    names = (name for name in (*MEASURES, *LABELS, *OPTIONAL) if name in numbers)
    rows = {name: numbers[name][inside] for name in names}
    before = {name: numbers[name][first_rows] for name in BEFORE}
    # A play counts at most its track's length, and a day once, however the row has it.
    rows["ms_played"] = np.minimum(rows["ms_played"], rows["track_ms"])
    before["pre_ms_played"] = np.minimum(before["pre_ms_played"], before["pre_track_ms"])
    before["pre_active_days"] = np.minimum(before["pre_active_days"], BEFORE_DAYS)
    return Evidence(
        dates=tuple(EPOCH + timedelta(days=int(day)) for day in dates),
        arm=arm[first_rows],
        segments={name: _segment(segments.column(name), first_rows) for name in SEGMENTS},
        before=before,
        offsets=offsets,
        user=user[inside],
        rows=rows,
        left_out=found,
    )


def _sound_rows(
    table: pa.Table, user: Codes, days: Codes, arm: Arms, where: str
) -> tuple[Codes, tuple[LeftOut, ...]]:
    """Numbers of the rows that count, sorted by day and user, and what was left out."""
    lowest, highest = (
        np.full(user.max() + 1, 2, dtype=np.int8),
        np.full(user.max() + 1, -1, dtype=np.int8),
    )
    np.minimum.at(lowest, user, arm)
    np.maximum.at(highest, user, arm)
    both = lowest < highest
    order = np.lexsort((user, days))
    order = order[~both[user[order]]]
    repeated, conflicting = _repeated(table, order, user, days)
    users, rows = len(both), len(user)
    kept = order[~(repeated | conflicting)]
    if not len(kept):
        raise refused(
            f"None of {rows:,} rows counts: "
            "their users are in both arms, or their days contradict.",
            where,
        )
    return kept, (
        LeftOut("users in both arms", int(both.sum()), users, float(both.mean())),
        _of_rows("rows that are there a second time", order[repeated], arm),
        _of_rows("rows that give a user's day differently", order[conflicting], arm),
    )


def _repeated(table: pa.Table, order: Codes, user: Codes, days: Codes) -> tuple[Flags, Flags]:
    """Flags of the sorted rows that repeat an earlier one, and of those that contradict another."""
    same = (np.diff(user[order]) == 0) & (np.diff(days[order]) == 0)
    together = np.append(same, False) | np.insert(same, 0, False)
    repeated, conflicting = (
        np.zeros(len(order), dtype=np.bool_),
        np.zeros(len(order), dtype=np.bool_),
    )
    if together.any():
        places = np.flatnonzero(together)
        rows = table.select(COLUMNS).take(order[places]).to_pandas()
        repeated[places] = rows.duplicated().to_numpy()
        single = places[~repeated[places]]
        conflicting[single] = (
            rows[~repeated[places]].duplicated(["user_key", "day"], keep=False).to_numpy()
        )
    return repeated, conflicting


def _without_excess(numbers: Mapping[str, Values], arm: Arms) -> tuple[dict[str, Values], LeftOut]:
    """Bound clicks by impressions, because a click without its impression does not count."""
    excess, sound = np.zeros(len(arm), dtype=np.bool_), dict(numbers)
    for name in OPTIONAL:
        if name in numbers:
            sound[name] = np.minimum(numbers[name], numbers["impressions"])
    for clicks, impressions in (("clicks", "impressions"), ("pre_clicks", "pre_impressions")):
        excess |= numbers[clicks] > numbers[impressions]
        sound[clicks] = np.minimum(numbers[clicks], numbers[impressions])
    return sound, _of_rows("rows with clicks beyond their impressions", np.flatnonzero(excess), arm)


def _of_rows(what: str, rows: Codes, arm: Arms) -> LeftOut:
    counts, wholes = np.bincount(arm[rows], minlength=2), np.bincount(arm, minlength=2)
    return LeftOut(what, len(rows), len(arm), float((counts / np.maximum(wholes, 1)).max()))


def _ranks(keys: pa.DictionaryArray) -> Codes:
    """Rank of each row's key among all keys, so that the order of the rows changes no sum."""
    ascending = np.asarray(pc.sort_indices(keys.dictionary), dtype=np.int64)
    ranks = np.empty(len(ascending), dtype=np.int64)
    ranks[ascending] = np.arange(len(ascending))
    return np.asarray(ranks[np.asarray(keys.indices)], dtype=np.int64)


def _days(column: pa.ChunkedArray, where: str) -> Codes:
    try:
        days = pc.cast(pc.cast(column, pa.date32()), pa.int32())
    except pa.ArrowException as error:
        raise refused(
            f"Column day does not hold dates: {' '.join(str(error).split())}.", where
        ) from error
    if days.null_count:
        raise refused(f"{days.null_count} of {len(days)} rows have no day.", where)
    return np.asarray(days.to_numpy(), dtype=np.int64)


def _texts(column: pa.ChunkedArray, name: str, where: str) -> pa.DictionaryArray:
    texts = pc.cast(column, pa.string()).combine_chunks()
    known = pc.fill_null(pc.not_equal(texts, ""), False)
    if lacking := len(texts) - pc.sum(known).as_py():
        raise refused(f"{lacking} of {len(texts)} rows have no {name}.", where)
    return texts.dictionary_encode()


def _numbers(column: pa.ChunkedArray, name: str, where: str) -> Values:
    try:
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    except pa.ArrowException as error:
        raise refused(
            f"Column {name} does not hold numbers: {' '.join(str(error).split())}.", where
        ) from error
    unknown = ~np.isfinite(values)
    if name in LABELS:
        unknown = np.isinf(values)
    if unknown.any():
        raise refused(
            f"{unknown.sum()} of {len(values)} values of {name} are missing or not finite.", where
        )
    return values


def _check_ranges(numbers: Mapping[str, Values], where: str) -> None:
    for name in (*MEASURES, *BEFORE, *OPTIONAL):
        if name in numbers and (bad := numbers[name] < 0).any():
            raise refused(
                f"{bad.sum()} of {len(bad)} values of {name} are negative; "
                f"first in row {_first(bad)}.",
                where,
            )
    for name in ("active", *LABELS):
        if (bad := ~(np.isnan(numbers[name]) | np.isin(numbers[name], (0, 1)))).any():
            raise refused(f"{bad.sum()} of {len(bad)} values of {name} are neither 0 nor 1.", where)


def _check_span(days: Codes, most_days: int | None, where: str) -> None:
    """Refuse rows over more days than a stage can have, and name the row that lies apart.

    That row is on the side with fewer rows of the widest gap between two days.
    """
    present, rows_of = np.unique(days, return_counts=True)
    span = int(present[-1] - present[0]) + 1
    if most_days is None or span <= most_days:
        return
    gap = int(np.argmax(np.diff(present)))
    earlier = int(rows_of[: gap + 1].sum())
    apart = days <= present[gap] if 2 * earlier <= len(days) else days > present[gap]
    row = int(np.flatnonzero(apart)[0])
    raise refused(
        f"The rows lie on {span:,} days from {_date(present[0])} to {_date(present[-1])}, "
        f"and a stage has at most {most_days}; {apart.sum()} of {len(days)} rows lie "
        f"{present[gap + 1] - present[gap]:,} days from the others, "
        f"first row {row + 1} of {_date(days[row])}.",
        where,
    )


def _date(day: int) -> date:
    return EPOCH + timedelta(days=int(day))


def _segment(column: pa.ChunkedArray, rows: npt.NDArray[Any]) -> Segment:
    taken = pc.fill_null(
        pc.cast(column.take(pa.array(rows)), pa.string()).combine_chunks(), UNKNOWN
    )
    taken = pc.if_else(pc.equal(taken, ""), UNKNOWN, taken)
    encoded = taken.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    ascending = sorted(range(len(names)), key=lambda number: str(names[number]))
    place = np.empty(len(names), dtype=np.int64)
    place[ascending] = np.arange(len(names))
    return Segment(
        tuple(str(names[number]) for number in ascending), place[np.asarray(encoded.indices)]
    )


def _first(bad: npt.NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(bad)[0]) + 1

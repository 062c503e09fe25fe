"""Evidence of a stage as arrays: one row a user and day of the contract, section 9, checked column by column."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from firstchair.definitions import churn
from firstchair.errors import BadEvidenceError

Values = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

ARMS = ("champion", "challenger")
SEGMENTS = ("lifecycle", "country", "age_group", "gender")
MEASURES = ("impressions", "clicks", "plays", "ms_played", "track_ms", "followed", "active")
LABELS = tuple(churn.LABELS)
BEFORE = ("pre_impressions", "pre_clicks", "pre_active_days", "pre_ms_played", "pre_track_ms")
# Days before the stage that the columns of `BEFORE` count: part of what evidence is, not of a rule.
BEFORE_DAYS = 28
COLUMNS = ("day", "user_key", "arm", *SEGMENTS, *MEASURES, *LABELS, *BEFORE)
UNKNOWN = "unknown"
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Segment:
    """One way to part the users: names of the parts, and each user's part, int64 (n_users,)."""

    values: tuple[str, ...]
    codes: Codes


@dataclass(frozen=True, slots=True)
class Evidence:
    """The users of a stage, and what they did on each of its days.

    dates: of day 0, 1, ..., those left out not among them. arm: int8 (n_users,), 0 champion, 1 challenger. segments:
    by name, fixed at the stage's start. before: by name (`BEFORE`), float64 (n_users,), of the 28 days before. user:
    int64 (n_rows,), ascending by day, the rows of day d at offsets[d] to offsets[d + 1]. rows: by name (`MEASURES`,
    `LABELS`), float64 (n_rows,); a label is NaN while it is open.
    """

    dates: tuple[date, ...]
    arm: npt.NDArray[np.int8]
    segments: Mapping[str, Segment]
    before: Mapping[str, Values]
    offsets: Codes
    user: Codes
    rows: Mapping[str, Values]

    @property
    def days(self) -> int:
        """Days from the first to the last one with a row, without those left out."""
        return len(self.dates)

    @property
    def users(self) -> int:
        """Users assigned to an arm."""
        return len(self.arm)

    def day(self, day: int, *, today: int) -> dict[str, Values]:
        """What each user did on a day: by name of `MEASURES`, float64 (n_users,); the same on every later day."""
        assert day <= today
        here = slice(self.offsets[day], self.offsets[day + 1])
        return {name: _sums(self.user[here], self.rows[name][here], self.users) for name in MEASURES}

    def labels(self, day: int, name: str) -> tuple[Codes, Values]:
        """Users with a label of that day, and the labels."""
        here = slice(self.offsets[day], self.offsets[day + 1])
        known = ~np.isnan(self.rows[name][here])
        return self.user[here][known], self.rows[name][here][known]


def _sums(user: Codes, values: Values, users: int) -> Values:
    return np.bincount(user, values, users).astype(np.float64, copy=False)


def read_evidence(path: Path) -> Evidence:
    """The evidence in a Parquet or CSV file.

    Raises:
        BadEvidenceError: The file cannot be read, or its rows are not evidence; nothing was decided.
    """
    import pyarrow.csv
    import pyarrow.parquet

    try:
        if path.suffix.lower() == ".csv":
            as_text = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(("user_key", *SEGMENTS), pa.string()))
            table = pyarrow.csv.read_csv(path, convert_options=as_text)
        else:
            table = pyarrow.parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise _refused(f"{path.name} cannot be read: {' '.join(str(error).split())}.", str(path)) from error
    return as_evidence(table, where=str(path))


def as_evidence(table: pa.Table, *, where: str = "evidence", left_out: Collection[date] = ()) -> Evidence:
    """The rows of a table as evidence.

    Args:
        table: In `COLUMNS`, one row a user and day.
        where: What an error names.
        left_out: Days that are none of the stage, such as those whose records are bad: what is known of a user from
            before the stage, and his arm, may come from their rows, and nothing else does.

    Raises:
        BadEvidenceError: A column is missing, a value is out of its range, a user stands twice on a day or in both
            arms, or the days are out of order.
    """
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise _refused(f"{len(missing)} of {len(COLUMNS)} columns are missing: {', '.join(missing)}.", where)
    if not table.num_rows:
        raise _refused("There is no row.", where)
    days = _days(table.column("day"), where)
    keys = _texts(table.column("user_key"), "user_key", where)
    arms = _texts(table.column("arm"), "arm", where)
    if unknown := sorted(set(arms.dictionary.to_pylist()) - set(ARMS)):
        raise _refused(f"Unknown arm {unknown[0]!r}; the arms are champion and challenger.", where)
    numbers = {name: _numbers(table.column(name), name, where) for name in (*MEASURES, *LABELS, *BEFORE)}
    _check_ranges(numbers, where)
    user = np.asarray(keys.indices, dtype=np.int64)
    arm = np.array([ARMS.index(text) for text in arms.dictionary.to_pylist()], dtype=np.int8)[np.asarray(arms.indices)]
    _check_order(user, days, arm, len(keys.dictionary), where)
    return _arranged(table, user, days, arm, numbers, left_out)


def _arranged(
    table: pa.Table,
    user: Codes,
    days: Codes,
    arm: npt.NDArray[np.int8],
    numbers: Mapping[str, Values],
    left_out: Collection[date],
) -> Evidence:
    _, first_rows = np.unique(user, return_index=True)
    kept = np.setdiff1d(np.arange(days.min(), days.max() + 1), [(day - EPOCH).days for day in left_out])
    order = np.argsort(days, kind="stable")
    order = order[np.isin(days[order], kept)]
    offsets = np.append(np.searchsorted(days[order], kept), len(order)).astype(np.int64)
    rows = {name: numbers[name][order] for name in (*MEASURES, *LABELS)}
    before = {name: numbers[name][first_rows] for name in BEFORE}
    # A play counts at most its track's length, and a day once, however the row has it.
    rows["ms_played"] = np.minimum(rows["ms_played"], rows["track_ms"])
    before["pre_ms_played"] = np.minimum(before["pre_ms_played"], before["pre_track_ms"])
    before["pre_active_days"] = np.minimum(before["pre_active_days"], BEFORE_DAYS)
    return Evidence(
        dates=tuple(EPOCH + timedelta(days=int(day)) for day in kept),
        arm=arm[first_rows],
        segments={name: _segment(table.column(name), first_rows) for name in SEGMENTS},
        before=before,
        offsets=offsets,
        user=user[order],
        rows=rows,
    )


def _days(column: pa.ChunkedArray, where: str) -> Codes:
    try:
        days = pc.cast(pc.cast(column, pa.date32()), pa.int32())
    except pa.ArrowException as error:
        raise _refused(f"Column day does not hold dates: {' '.join(str(error).split())}.", where) from error
    if days.null_count:
        raise _refused(f"{days.null_count} of {len(days)} rows have no day.", where)
    return np.asarray(days.to_numpy(), dtype=np.int64)


def _texts(column: pa.ChunkedArray, name: str, where: str) -> pa.DictionaryArray:
    texts = pc.cast(column, pa.string()).combine_chunks()
    if texts.null_count:
        raise _refused(f"{texts.null_count} of {len(texts)} rows have no {name}.", where)
    return texts.dictionary_encode()


def _numbers(column: pa.ChunkedArray, name: str, where: str) -> Values:
    try:
        values = np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
    except pa.ArrowException as error:
        raise _refused(f"Column {name} does not hold numbers: {' '.join(str(error).split())}.", where) from error
    unknown = ~np.isfinite(values)
    if name in LABELS:
        unknown = np.isinf(values)
    if unknown.any():
        raise _refused(f"{unknown.sum()} of {len(values)} values of {name} are missing or not finite.", where)
    return values


def _check_ranges(numbers: Mapping[str, Values], where: str) -> None:
    for name in (*MEASURES, *BEFORE):
        if (bad := numbers[name] < 0).any():
            raise _refused(
                f"{bad.sum()} of {len(bad)} values of {name} are negative; first in row {_first(bad)}.", where
            )
    for name in ("active", *LABELS):
        if (bad := ~(np.isnan(numbers[name]) | np.isin(numbers[name], (0, 1)))).any():
            raise _refused(f"{bad.sum()} of {len(bad)} values of {name} are neither 0 nor 1.", where)
    for above, below in (("clicks", "impressions"), ("pre_clicks", "pre_impressions")):
        if (bad := numbers[above] > numbers[below]).any():
            text = f"{bad.sum()} of {len(bad)} rows have more {above} than {below}; first is row {_first(bad)}."
            raise _refused(text, where)


def _check_order(user: Codes, days: Codes, arm: npt.NDArray[np.int8], n_users: int, where: str) -> None:
    """Rows may stand by day or by user, but each user's days ascend."""
    order = np.argsort(user, kind="stable")
    same = user[order][1:] == user[order][:-1]
    step = np.diff(days[order])
    if (back := same & (step < 0)).any():
        raise _refused(f"{back.sum()} of {len(days)} rows are out of order: their user has a later day before.", where)
    twice = len(days) - len(np.unique(user * (days.max() - days.min() + 1) + days - days.min()))
    if twice:
        raise _refused(f"{twice} of {len(days)} rows give a user a second time on one day.", where)
    both = np.unique(user * 2 + arm)
    if len(both) > n_users:
        raise _refused(f"{len(both) - n_users} of {n_users} users stand in both arms.", where)


def _segment(column: pa.ChunkedArray, rows: npt.NDArray[Any]) -> Segment:
    taken = pc.fill_null(pc.cast(column.take(pa.array(rows)), pa.string()).combine_chunks(), UNKNOWN)
    encoded = taken.dictionary_encode()
    names = encoded.dictionary.to_pylist()
    ascending = sorted(range(len(names)), key=lambda number: str(names[number]))
    place = np.empty(len(names), dtype=np.int64)
    place[ascending] = np.arange(len(names))
    return Segment(tuple(str(names[number]) for number in ascending), place[np.asarray(encoded.indices)])


def _first(bad: npt.NDArray[np.bool_]) -> int:
    return int(np.flatnonzero(bad)[0]) + 1


def _refused(what: str, where: str) -> BadEvidenceError:
    return BadEvidenceError(
        what,
        where=where,
        data="Nothing was decided; the champion stays.",
        remedy="Write one row per user and day in the columns of the evidence table, and decide again.",
    )

"""Logged slates of the champion's users, with the list of the version in shadow for each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from firstchair.definitions.attribution import shown_sql
from firstchair.definitions.slates import SLATE_DAYS
from firstchair.evaluation.off_policy import SlateLog
from firstchair.events import blocked_days
from firstchair.lake import Lake, connect, under_current_artists
from firstchair.lake import tables as t
from firstchair.promotion.ledger import Entry
from firstchair.promotion.protocol import challenger_after

Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A day on which one version served and another was in shadow; exploration used both lists."""

    day: date
    champion: str
    challenger: str


@dataclass(frozen=True, slots=True)
class Logged:
    """Slates with exploration, and the challenger's list for each: target, int64 (n, k)."""

    log: SlateLog
    target: Whole

    def __len__(self) -> int:
        return len(self.target)


def shadowed_days(entries: Sequence[Entry], *, before: date, days: int) -> Iterator[Shadowed]:
    """The serving version and the one in shadow on each of the last `days` days before `before`.

    Args:
        entries: The ledger's, newest first.
        before: First day (UTC) that does not count.
        days: How many days count.
    """
    for number in range(1, days + 1):
        day = before - timedelta(days=number)
        last = next((entry for entry in entries if entry.as_of <= day), None)
        if (
            last is not None
            and last.champion_after is not None
            and (behind := challenger_after(last)) is not None
        ):
            yield Shadowed(day, last.champion_after, behind)


def slate_log(lake: Lake, days: list[Shadowed], *, length: int, before: date) -> Logged | None:
    """The champion's slates of these days with both published lists; None if there are none.

    Only the first slate of a user on a day counts, because exploration draws once a day and signals
    change later slates. Slates that differ from the list in more than the exploration slot, slates
    with another number of artists than `length`, and days with bad records do not count.
    """
    blocked = (
        set(blocked_days(lake, min(d.day for d in days), max(d.day for d in days)))
        if days
        else set()
    )
    kept = [day for day in days if day.day not in blocked]
    if not kept:
        return None
    with connect() as connection:
        connection.register("days", _as_table(kept))
        connection.execute(_shown(lake, kept, before))
        return _as_log(connection.sql(_slates(lake, kept, length)).to_arrow_table(), length)


def _as_table(days: list[Shadowed]) -> pa.Table:
    return pa.table(
        {
            "day": pa.array([d.day for d in days], pa.date32()),
            "champion": pa.array([d.champion for d in days], pa.string()),
            "challenger": pa.array([d.challenger for d in days], pa.string()),
        }
    )


def _shown(lake: Lake, days: list[Shadowed], before: date) -> str:
    """SQL of `shown`: impressions of the days, with outcomes on these and the following days."""
    reach = {day.day + timedelta(days=number) for day in days for number in range(SLATE_DAYS + 1)}
    dates = ", ".join(f"date '{day}'" for day in sorted(reach) if day < before)
    return f"""
        create temp view happened as
        select * from {under_current_artists(lake, t.EVENTS)} where event_date in ({dates});
        create temp table shown as {shown_sql("happened")};
    """


def _slates(lake: Lake, days: list[Shadowed], length: int) -> str:
    """SQL of one row per slate: items shown, clicks, propensities, both lists, the size of E."""
    dates = ", ".join(f"date '{day.day}'" for day in days)
    return f"""
        with slates as (
            select e.user_key, d.day, d.champion, d.challenger, e.slate_id,
                   list(e.artist_id order by e.position) as shown,
                   list(e.clicked order by e.position) as clicked,
                   list(e.propensity order by e.position) as chances
            from shown e join days d on e.event_date = d.day and e.model_version = d.champion
            where e.slate_id is not null
            group by e.user_key, d.day, d.champion, d.challenger, e.slate_id
            having count(*) = {length} and count(distinct e.position) = {length}
                and max(e.position) = {length}
            qualify row_number() over (
                partition by e.user_key, d.day order by min(e.shown_at), e.slate_id) = 1),
        lists as (
            select r.user_key, s.slate_id, r.model_version, list(r.artist_id) as whole,
                   list(r.artist_id order by r.position) filter (r.position <= {length}) as first
            from {under_current_artists(lake, t.RECOMMENDATIONS)} r
            join slates s on r.user_key = s.user_key and r.as_of = s.day
                and r.model_version in (s.champion, s.challenger)
            where r.as_of in ({dates}) group by all)
        select s.user_key, s.shown, s.clicked, s.chances, ours.first as ranked,
               theirs.first as target,
               len(list_distinct(list_concat(ours.whole, theirs.whole))) - {length} as outside
        from slates s
        join lists ours on ours.slate_id = s.slate_id and ours.model_version = s.champion
        join lists theirs on theirs.slate_id = s.slate_id and theirs.model_version = s.challenger
        where len(ours.first) = {length} and len(theirs.first) = {length}
        order by s.user_key, s.day
    """


def _as_log(rows: pa.Table, length: int) -> Logged | None:
    if not rows.num_rows:
        return None
    artists = _numbered(rows, ("shown", "ranked", "target"), length)
    chances = _flat(rows, "chances", length).astype(np.float64)
    ranked_chance = chances.max(axis=1)
    by_chance = chances < ranked_chance[:, None]
    as_listed = ((artists["shown"] == artists["ranked"]) ^ by_chance).all(axis=1)
    explorable = as_listed & (ranked_chance < 1)
    if not explorable.any():
        return None
    # A ranked artist is at its place with probability 1 - exploration / k.
    exploration = float(np.median(length * (1 - ranked_chance[explorable])))
    kept = explorable & np.isclose(length * (1 - ranked_chance), exploration)
    keys = rows.column("user_key").combine_chunks().dictionary_encode()
    log = SlateLog(
        user=np.asarray(keys.indices, dtype=np.int64)[kept],
        ranked=artists["ranked"][kept],
        shown=artists["shown"][kept],
        clicked=_flat(rows, "clicked", length).astype(bool)[kept],
        outside=np.asarray(rows.column("outside").to_numpy(), dtype=np.int64)[kept],
        exploration=exploration,
    )
    return Logged(log, artists["target"][kept])


def _flat(rows: pa.Table, name: str, length: int) -> npt.NDArray[np.generic]:
    """A column of lists as an array (n, length)."""
    values = rows.column(name).combine_chunks().flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(-1, length)


def _numbered(rows: pa.Table, names: tuple[str, ...], length: int) -> dict[str, Whole]:
    """Artists of some columns as numbers in one common numbering, int64 (n, length) each."""
    flat = pa.concat_arrays([rows.column(name).combine_chunks().flatten() for name in names])
    codes = np.asarray(flat.dictionary_encode().indices, dtype=np.int64).reshape(
        len(names),
        -1,
        length,
    )
    return dict(zip(names, codes, strict=True))

"""Slates that the champion's listeners were shown, beside what the one behind the screen would have shown them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from firstchair.evaluation.off_policy import SlateLog
from firstchair.events import blocked_days
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.promotion.ledger import Entry
from firstchair.promotion.protocol import challenger_after

Whole = npt.NDArray[np.int64]
# Slates of other lengths, which a client may ask for, do not count.
SLATE = 10


@dataclass(frozen=True, slots=True)
class Shadowed:
    """A day on which one version played and another stood behind the screen, so that chance drew from both lists."""

    day: date
    champion: str
    challenger: str


@dataclass(frozen=True, slots=True)
class Logged:
    """Slates with exploration, and the challenger's list for each: target, int64 (n, `SLATE`)."""

    log: SlateLog
    target: Whole

    def __len__(self) -> int:
        return len(self.target)


def shadowed_days(entries: list[Entry], *, before: date, days: int) -> Iterator[Shadowed]:
    """Who played and who stood behind the screen on each of the last `days` days before `before`.

    Args:
        entries: The ledger's, newest first.
        before: First day (UTC) that does not count.
        days: How many days count.
    """
    for number in range(1, days + 1):
        day = before - timedelta(days=number)
        last = next((entry for entry in entries if entry.as_of <= day), None)
        if last is not None and last.champion_after is not None and (behind := challenger_after(last)) is not None:
            yield Shadowed(day, last.champion_after, behind)


def slate_log(lake: Lake, days: list[Shadowed]) -> Logged | None:
    """The champion's slates of these days with both lists as they stood in the morning; None where there is none.

    Of a user's day the first slate alone: chance draws once a day, and what he did with it decides whether the next
    one is folded anew. A slate that differs from the list in more than the slot of chance does not count, nor does a
    day on whose records nothing may rest.
    """
    blocked = set(blocked_days(lake, min(d.day for d in days), max(d.day for d in days))) if days else set()
    kept = [day for day in days if day.day not in blocked]
    if not kept:
        return None
    with connect() as connection:
        connection.register("days", _as_table(kept))
        return _as_log(connection.sql(_slates(lake, kept)).to_arrow_table())


def _as_table(days: list[Shadowed]) -> pa.Table:
    return pa.table(
        {
            "day": pa.array([d.day for d in days], pa.date32()),
            "champion": pa.array([d.champion for d in days], pa.string()),
            "challenger": pa.array([d.challenger for d in days], pa.string()),
        }
    )


def _slates(lake: Lake, days: list[Shadowed]) -> str:
    """SQL of one row a slate: what was shown and clicked with its chances, both lists, how many chance drew from."""
    dates = ", ".join(f"date '{day.day}'" for day in days)
    return f"""
        with clicks as (
            select distinct slate_id, artist_id from {lake.scan(t.EVENTS)}
            where event_type = 'click' and event_date >= (select min(day) from days)),
        slates as (
            select e.user_key, d.day, d.champion, d.challenger, e.slate_id,
                   list(e.artist_id order by e.position) as shown,
                   list(c.artist_id is not null order by e.position) as clicked,
                   list(e.propensity order by e.position) as chances
            from {lake.scan(t.EVENTS)} e join days d on e.event_date = d.day and e.model_version = d.champion
            left join clicks c on c.slate_id = e.slate_id and c.artist_id = e.artist_id
            where e.event_date in ({dates}) and e.event_type = 'impression' and e.slate_id is not null
            group by e.user_key, d.day, d.champion, d.challenger, e.slate_id
            having count(*) = {SLATE} and count(distinct e.position) = {SLATE} and max(e.position) = {SLATE}
            qualify row_number() over (
                partition by e.user_key, d.day order by min(e.occurred_at), e.slate_id) = 1),
        lists as (
            select r.user_key, s.slate_id, r.model_version, list(r.artist_id) as whole,
                   list(r.artist_id order by r.position) filter (r.position <= {SLATE}) as first
            from {lake.scan(t.RECOMMENDATIONS)} r
            join slates s on r.user_key = s.user_key and r.as_of = s.day
                and r.model_version in (s.champion, s.challenger)
            where r.as_of in ({dates}) group by all)
        select s.user_key, s.shown, s.clicked, s.chances, ours.first as ranked, theirs.first as target,
               len(list_distinct(list_concat(ours.whole, theirs.whole))) - {SLATE} as outside
        from slates s
        join lists ours on ours.slate_id = s.slate_id and ours.model_version = s.champion
        join lists theirs on theirs.slate_id = s.slate_id and theirs.model_version = s.challenger
        where len(ours.first) = {SLATE} and len(theirs.first) = {SLATE}
        order by s.user_key, s.day
    """


def _as_log(rows: pa.Table) -> Logged | None:
    if not rows.num_rows:
        return None
    artists = _numbered(rows, ("shown", "ranked", "target"))
    chances = _flat(rows, "chances").astype(np.float64)
    ranked_chance = chances.max(axis=1)
    by_chance = chances < ranked_chance[:, None]
    as_listed = ((artists["shown"] == artists["ranked"]) ^ by_chance).all(axis=1)
    explorable = as_listed & (ranked_chance < 1)
    if not explorable.any():
        return None
    # A ranked artist stands at his place with 1 - exploration / k.
    exploration = float(np.median(SLATE * (1 - ranked_chance[explorable])))
    kept = explorable & np.isclose(SLATE * (1 - ranked_chance), exploration)
    keys = rows.column("user_key").combine_chunks().dictionary_encode()
    log = SlateLog(
        user=np.asarray(keys.indices, dtype=np.int64)[kept],
        ranked=artists["ranked"][kept],
        shown=artists["shown"][kept],
        clicked=_flat(rows, "clicked").astype(bool)[kept],
        outside=np.asarray(rows.column("outside").to_numpy(), dtype=np.int64)[kept],
        exploration=exploration,
    )
    return Logged(log, artists["target"][kept])


def _flat(rows: pa.Table, name: str) -> npt.NDArray[np.generic]:
    """A column of lists as an array (n, `SLATE`)."""
    values = rows.column(name).combine_chunks().flatten()
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(-1, SLATE)


def _numbered(rows: pa.Table, names: tuple[str, ...]) -> dict[str, Whole]:
    """Artists of some columns as numbers of one order, int64 (n, `SLATE`) each."""
    flat = pa.concat_arrays([rows.column(name).combine_chunks().flatten() for name in names])
    codes = np.asarray(flat.dictionary_encode().indices, dtype=np.int64).reshape(len(names), -1, SLATE)
    return dict(zip(names, codes, strict=True))

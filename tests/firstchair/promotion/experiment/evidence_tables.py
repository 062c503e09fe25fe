"""Evidence in the columns of the contract, made of the audition's simulated users."""

from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from firstchair.promotion.audition import Effect, Panel, simulate_panel
from firstchair.promotion.audition.behaviour import DAYS
from firstchair.promotion.experiment import COLUMNS
from firstchair.promotion.experiment.evidence import MEASURES, SEGMENTS

FIRST_DAY = date(2026, 3, 1)
DATES = [FIRST_DAY + timedelta(days=day) for day in range(DAYS)]


@lru_cache(maxsize=16)
def evidence_of(
    effect: Effect | None = None,
    *,
    users: int = 6_000,
    days: int = 21,
    seed: int = 5,
    left: float = 0.0,
) -> pa.Table:
    """One row per user and active day; a row of zeros on the first day for inactive users.

    left: share of the challenger's users who stay away for good from day 3 on.
    """
    panel = simulate_panel(users, effect or Effect(), seed=seed)
    gone = (panel.arm == 1) & (np.random.default_rng(seed).random(panel.users) < left)
    active = panel.active[:days].copy()
    active[3:] &= ~gone
    day, user = np.nonzero(active)
    silent = np.flatnonzero(~active.any(axis=0))
    day, user = (
        np.concatenate([np.zeros(len(silent), dtype=np.int64), day]),
        np.concatenate([silent, user]),
    )
    known = [panel.day(number, today=days) for number in range(days)]
    whole = {name: np.array([found[name] for found in known]) for name in MEASURES}
    measures = {name: (values * active)[day, user] for name, values in whole.items()}
    return pa.table(_columns(panel, day, user, measures, _labels(active, day, user))).select(
        COLUMNS
    )


def _columns(
    panel: Panel, day: Any, user: Any, measures: dict[str, Any], labels: dict[str, Any]
) -> dict[str, Any]:
    texts = {name: np.full(len(user), "unknown") for name in SEGMENTS} | {
        name: np.array(found.values)[found.codes[user]] for name, found in panel.segments.items()
    }
    return {
        "day": pa.array([FIRST_DAY + timedelta(days=int(number)) for number in day], pa.date32()),
        "user_key": [f"{number:032x}" for number in user],
        "arm": np.where(panel.arm[user] == 1, "challenger", "champion"),
        **texts,
        **measures,
        **labels,
        **{name: values[user] for name, values in panel.before.items()},
    }


def _labels(active: Any, day: Any, user: Any) -> dict[str, Any]:
    """Whether the user was on none of the days after, null where those are not all known."""
    found, so_far = {}, np.cumsum(active, axis=0)
    for horizon in (7, 14):
        later = day + horizon
        away = so_far[np.minimum(later, len(active) - 1), user] == so_far[day, user]
        found[f"churned_{horizon}"] = pa.array(away.astype(np.int8), mask=later >= len(active))
    return found


def with_bad_day(table: pa.Table, number: int) -> pa.Table:
    """A further day on which the challenger's users click everything; later days move by one."""
    days = table.column("day").to_pylist()
    first = min(days)
    bad_day = first + timedelta(days=number)
    place = table.schema.get_field_index("day")
    later = pa.array([day + timedelta(days=day >= bad_day) for day in days], pa.date32())
    bad = table.filter(pc.equal(table.column("day"), first))
    clicks = pc.if_else(pc.equal(bad.column("arm"), "challenger"), bad.column("impressions"), 0)
    bad = bad.set_column(
        bad.schema.get_field_index("clicks"),
        "clicks",
        clicks.cast(table.schema.field("clicks").type),
    )
    bad = bad.set_column(place, "day", pa.array([bad_day] * bad.num_rows, pa.date32()))
    whole = pa.concat_tables([table.set_column(place, "day", later), bad.cast(table.schema)])
    return whole.sort_by([("day", "ascending"), ("user_key", "ascending")])

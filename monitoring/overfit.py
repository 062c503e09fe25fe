"""Overfitting: each family's gap between training and test metrics, over time."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from statistics import NormalDist, median
from typing import Any

import pyarrow as pa

from firstchair.definitions.overfit import overfit_check
from firstchair.lake import Lake, connect, is_simulated
from firstchair.lake import tables as t
from monitoring.pages import Heading, cells_page
from monitoring.rules import OverfitRules, load_rules

CONFIDENCE = 0.95
COLUMNS = (("family", "family"), ("train", "train"), ("test", "test"), ("gap", "gap"),
           ("gap_lower", "lower"), ("gap_upper", "upper"), ("usual_gap", "usual gap"),
           ("state", "state"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class OverfitReport:
    """The result of a build of gold/overfit: families, those that overfit, and the page.

    checks: outcome by family in words; not known without earlier days.
    """

    as_of: date
    rows: int
    overfit: tuple[str, ...]
    report: Path | None
    checks: dict[str, str]


def build_overfit(
    lake: Lake, *, as_of: date, report_folder: Path | None, rules: OverfitRules | None = None
) -> OverfitReport:
    """Replace the partition `as_of` of gold/overfit by the gap of each family.

    gap: mean training metric over users minus mean test metric. gap_lower, gap_upper: its 95 %
    interval as if both were independent, which is too wide for users in both; null with fewer than
    `min_users` users on a side, which says nothing of this day or a later one. A family overfits if
    the whole interval is above its usual gap (median of the earlier as_of) by `min_gap_growth`, and
    its test metric is below its usual value by `min_test_drop`: a larger gap with the same test
    metric only means more data.

    Raises:
        LakeError: A table cannot be read; nothing is written.
    """
    rules = rules or load_rules().overfit
    since = as_of - timedelta(days=rules.history_days)
    earlier = lake.read(
        t.OVERFIT, f"as_of >= date '{since}' and as_of < date '{as_of}'"
    ).to_pylist()
    gaps = _gaps(lake, as_of, metric=rules.metric, min_users=rules.min_users)
    rows = [_judged(row, earlier, rules) for row in gaps]
    checks = [overfit_check(row) for row in rows]
    lake.replace_partition(t.OVERFIT, pa.Table.from_pylist(rows, schema=t.OVERFIT.schema), as_of)
    cells = [row | {"state": check.state.words} for row, check in zip(rows, checks, strict=True)]
    heading = Heading(
        f"Overfitting, {as_of}",
        (f"{rules.metric} of training days minus that of test days.",),
        is_simulated(lake),
    )
    page = report_folder and cells_page(
        "overfit", cells, COLUMNS, checks, heading=heading, day=as_of, folder=report_folder
    )
    found = tuple(row["family"] for row in rows if row["overfit"])
    return OverfitReport(
        as_of, len(rows), found, page, {check.name: check.sentence() for check in checks}
    )


def _gaps(lake: Lake, as_of: date, *, metric: str, min_users: int) -> list[dict[str, Any]]:
    def side(table: t.Table, name: str) -> str:
        return f"""(
            select family, count(*) as {name}_users, avg({metric}) as {name},
                   case when count(*) >= {min_users} then var_samp({metric}) / count(*) end
                       as {name}_variance
            from {lake.scan(table)} where as_of = date '{as_of}' group by family)"""

    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    with connect() as connection:
        found = connection.sql(f"""
            select date '{as_of}' as as_of, family, train_users, test_users, train, test,
                   train - test as gap,
                   train - test - {z} * sqrt(train_variance + test_variance) as gap_lower,
                   train - test + {z} * sqrt(train_variance + test_variance) as gap_upper
            from {side(t.TRAINING_EVIDENCE, "train")}
            join {side(t.OFFLINE_EVIDENCE, "test")} using (family)
            order by family
        """).to_arrow_table()
    return list(found.to_pylist())


def _judged(
    row: dict[str, Any], earlier: list[dict[str, Any]], rules: OverfitRules
) -> dict[str, Any]:
    known = [other for other in earlier if other["gap_lower"] is not None]
    own = [other for other in known if other["family"] == row["family"]]
    if row["gap_lower"] is None or len(own) < rules.min_history:
        return row | {"usual_gap": None, "usual_test": None, "overfit": False}
    usual_gap, usual_test = (median(other[name] for other in own) for name in ("gap", "test"))
    grown = row["gap_lower"] > usual_gap + rules.min_gap_growth * abs(usual_gap)
    fallen = row["test"] < (1 - rules.min_test_drop) * usual_test
    return row | {
        "usual_gap": usual_gap,
        "usual_test": usual_test,
        "overfit": bool(grown and fallen),
    }

"""Drift against the champion's training window: users, behaviour, catalogue, predictions."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from monitoring.comparison import (
    Comparison,
    Rate,
    Users,
    compare_numbers,
    compare_rates,
    compare_values,
    holm,
)
from monitoring.distributions import Panel, panel_of_numbers, panel_of_rates, panel_of_values
from monitoring.pages import Heading, drift_page
from monitoring.rules import DriftRules, load_rules
from monitoring.samples import CATALOGUE, FEATURES, POPULATION, RESPONSES, Sample, draw

ONE_DAY = timedelta(days=1)
# Minimum users and clicks of a side; scores use the first ten of a list.
MIN_USERS, MIN_CLICKS, DEPTH = 20, 10, 10
SCORE = "predicted_score"
RULE = (
    "A column drifts where its p-value, corrected for their number (Holm), is under the threshold "
    "and its effect reaches the least size."
)


@dataclass(frozen=True, slots=True)
class Champion:
    """The champion's version, and the first day whose events it was not fitted on."""

    version: str
    as_of: date


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The result of a comparison for one as_of.

    rows: columns compared, each a row of gold/drift. reference: as_of of the window compared with.
    drifted: effect of each column that drifted. left_out: columns that could not be compared, and
    why. report: the page on disk. If nothing could be compared, `report` is None and `note` says
    why.
    """

    as_of: date
    rows: int
    reference: date | None
    drifted: dict[str, float]
    report: Path | None
    note: str
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Column:
    """One column compared, or why it could not be. panel: the data of its plot."""

    kind: str
    name: str
    found: Comparison | None = None
    panel: Panel | None = None
    why_not: str = ""


def build_drift(
    lake: Lake,
    *,
    as_of: date,
    champion: Champion | None,
    report_folder: Path | None,
    k_anonymity: int,
    rules: DriftRules | None = None,
) -> DriftReport:
    """Compare the last days before `as_of` with the champion's training window; write a page.

    The reference days are those of the `reference_days` before the champion's as_of with the same
    weekdays as the current days, or all of them if the history is short. Recent days are no
    reference, so that slow drift adds up. Without a champion the reference ends a window before
    `as_of`. A column drifts if its p-value, corrected by Holm, is under `alpha` and its effect
    reaches a least size: with 200,000 users any difference is significant, but few are large.
    Quantities that always grow, such as total counts, are not compared.

    The page is `report_folder`/data_drift/`as_of`.html, written atomically; none if the folder is
    None. It draws no value with fewer than `k_anonymity` users.

    Raises:
        LakeError: A table cannot be read; nothing is written.
    """
    rules = rules or load_rules().drift
    current_days = [as_of - number * ONE_DAY for number in range(rules.window_days, 0, -1)]
    until = min(champion.as_of if champion is not None else as_of, current_days[0])
    reference_days = _reference_days(lake, until, current_days, rules)
    if not reference_days:
        return _nothing(lake, as_of, "There is no history before these days to compare with.", {})
    then, now = (
        draw(lake, days, max_users=rules.max_users) for days in (reference_days, current_days)
    )
    columns = [*_columns(then, now, k_anonymity), _scores(lake, champion, as_of)]
    left_out = {column.name: column.why_not for column in columns if column.found is None}
    rows = _judged([column for column in columns if column.found is not None], rules)
    if not rows:
        return _nothing(lake, as_of, "No column could be compared.", left_out)
    drifted = {row["column"]: row["effect"] for row in rows if row["drifted"]}
    note = (
        f"{len(drifted)} of {len(rows)} columns drifted from the {rules.reference_days} days "
        f"before {until}."
    )
    panels = {column.name: column.panel for column in columns if column.panel is not None}
    few = [row["column"] for row in rows if min(row["users"], row["reference_users"]) < k_anonymity]
    shown = [row for row in rows if row["column"] not in few]
    unseen = left_out | dict.fromkeys(
        few, f"fewer than {k_anonymity} users on one side are not shown"
    )
    compared = f"{_span(current_days)} against {_span(reference_days)}."
    heading = Heading(
        f"Drift, {as_of}", (note, compared, RULE, *_not_compared(unseen)), now.simulated
    )
    path = report_folder and drift_page(
        shown, panels, heading=heading, as_of=as_of, folder=report_folder
    )
    common: dict[str, Any] = {
        "as_of": as_of,
        "reference_from": reference_days[0],
        "reference_until": until,
    }
    # Relative to the folder of reports, which may move with its home.
    page = None
    if path is not None and report_folder is not None:
        page = path.relative_to(report_folder.resolve()).as_posix()
    common |= {"simulated": now.simulated, "report_path": page}
    table = pa.Table.from_pylist([row | common for row in rows], schema=t.DRIFT.schema)
    lake.replace_partition(t.DRIFT, table, as_of)
    return DriftReport(as_of, len(rows), until, drifted, path, note, left_out)


def _reference_days(lake: Lake, until: date, current: list[date], rules: DriftRules) -> list[date]:
    """Days with events in the window before `until`, on the weekdays of `current` if possible."""
    weekdays = {day.weekday() for day in current}
    # The first day of a history is rarely complete, and all its users are new.
    window = [
        day
        for day in lake.partitions(t.EVENTS)[1:]
        if until - rules.reference_days * ONE_DAY <= day < until
    ]
    return [day for day in window if day.weekday() in weekdays] or window


def _span(days: list[date]) -> str:
    return f"{days[0]} to {days[-1]} ({len(days)} days)"


def _not_compared(unseen: dict[str, str]) -> Iterator[str]:
    """Columns without a panel and why, in a sentence."""
    if unseen:
        yield (
            f"Not compared: {'; '.join(f'{name}, {why}' for name, why in sorted(unseen.items()))}."
        )


def _nothing(lake: Lake, as_of: date, note: str, left_out: dict[str, str]) -> DriftReport:
    """A report without figures; those of an earlier build are removed."""
    lake.replace_partition(t.DRIFT, t.DRIFT.schema.empty_table(), as_of)
    return DriftReport(as_of, 0, None, {}, None, note, left_out)


def _columns(then: Sample, now: Sample, k_anonymity: int) -> Iterator[Column]:
    for name in FEATURES:
        yield _of_numbers(name, then.days, now.days)
    for kind, names in (("population", POPULATION), ("catalogue", CATALOGUE)):
        for name in names:
            yield _of_values(kind, name, then.days, now.days, k_anonymity)
    for name in RESPONSES:
        yield _of_answers(name, then.answers, now.answers)


def _of_numbers(name: str, then: pd.DataFrame, now: pd.DataFrame) -> Column:
    known = [_known(frame, name) for frame in (then, now)]
    if why_not := _why_not(known, name):
        return Column("feature", name, why_not=why_not)
    old, new = (frame[name].to_numpy().astype(np.float64) for frame in known)
    found = compare_numbers(old, new, *map(_users, known))
    return Column("feature", name, found, panel_of_numbers(name, old, new))


def _of_values(
    kind: str, name: str, then: pd.DataFrame, now: pd.DataFrame, k_anonymity: int
) -> Column:
    known = [_known(frame, name) for frame in (then, now)]
    if why_not := _why_not(known, name):
        return Column(kind, name, why_not=why_not)
    old, new = (frame[name].to_numpy() for frame in known)
    users = tuple(map(_users, known))
    panel = panel_of_values(name, old, new, *users, k_anonymity=k_anonymity)
    return Column(kind, name, compare_values(old, new, *users), panel)


def _known(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    return frame.loc[frame[name].notna(), ["user_key", name]]


def _users(frame: pd.DataFrame) -> Users:
    return frame["user_key"].to_numpy(dtype=str)


def _why_not(known: list[pd.DataFrame], name: str) -> str:
    """Why a column of user-days cannot be compared; empty if it can."""
    if min(frame["user_key"].nunique() for frame in known) < MIN_USERS:
        return f"fewer than {MIN_USERS} users with a value on one side"
    return "one value throughout" if pd.concat(known)[name].nunique() == 1 else ""


def _of_answers(name: str, then: pd.DataFrame, now: pd.DataFrame) -> Column:
    old, new = (_rate(answers, name) for answers in (then, now))
    if min(len(old.shown), len(new.shown)) < MIN_USERS or old.clicks.sum() < MIN_CLICKS:
        return Column(
            "response",
            name,
            why_not=f"fewer than {MIN_USERS} users or {MIN_CLICKS} clicks on one side",
        )
    return Column("response", name, compare_rates(old, new), panel_of_rates(name, old, new))


def _rate(answers: pd.DataFrame, name: str) -> Rate:
    shown = answers.loc[answers[f"shown_{name}"] > 0]
    return Rate(shown[f"clicked_{name}"].to_numpy(), shown[f"shown_{name}"].to_numpy())


def _scores(lake: Lake, champion: Champion | None, as_of: date) -> Column:
    """The champion's mean scores by user, of this day against the day that it was fitted for."""
    if champion is None or champion.as_of >= as_of:
        return Column("prediction", SCORE, why_not="the champion was fitted for this day")
    with connect() as connection:
        found = [
            connection.execute(
                f"select avg(score) as score from {lake.scan(t.RECOMMENDATIONS)} "
                f"where as_of = date '{day}' and model_version = '{champion.version}' "
                f"and position <= {DEPTH} group by user_key order by user_key"
            ).df()["score"]
            for day in (champion.as_of, as_of)
        ]
    if min(map(len, found)) < MIN_USERS:
        return Column("prediction", SCORE, why_not="no lists of the champion on one of the days")
    users = [np.arange(len(scores)) for scores in found]
    old, new = (scores.to_numpy() for scores in found)
    return Column(
        "prediction", SCORE, compare_numbers(old, new, *users), panel_of_numbers(SCORE, old, new)
    )


def _judged(columns: list[Column], rules: DriftRules) -> list[dict[str, Any]]:
    """A row for each column, with the verdict from corrected p-value and effect."""
    compared = [(column, column.found) for column in columns if column.found is not None]
    corrected = holm([found.p_value for _, found in compared])
    rows = []
    for (column, found), score in zip(compared, corrected, strict=True):
        least = rules.min_relative_change if found.method == "rate" else rules.min_distance
        verdict = score < rules.alpha and abs(found.effect) >= least
        row = asdict(found) | {
            "kind": column.kind,
            "column": column.name,
            "score": score,
            "threshold": rules.alpha,
        }
        rows.append(row | {"min_effect": least, "drifted": verdict})
    return sorted(rows, key=lambda row: str(row["column"]))

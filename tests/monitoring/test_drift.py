import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from firstchair.lake import Lake
from firstchair.lake import tables as t
from monitoring import DriftReport, build_drift
from monitoring.drift import CATEGORICAL, NUMERIC

AS_OF = date(2026, 3, 31)
ONE_DAY = timedelta(days=1)
Columns = dict[str, np.ndarray]


def features(seed: int, users: int = 400) -> Columns:
    """Features without any drift between seeds."""
    rng = np.random.default_rng(seed)
    columns: Columns = {name: rng.gamma(2.0, 10.0, users).round(3) for name in ("clicks_per_100", "listen_through")}
    whole = ("impressions", "clicks", "logins_28d", "days_since_last_login", "tenure_days")
    columns |= {name: rng.poisson(30, users) for name in whole}
    columns |= {name: rng.choice(["x", "y", "z"], users) for name in CATEGORICAL}
    return columns


def keep(lake: Lake, as_of: date, columns: Columns) -> None:
    """The columns as a partition of gold/user_features; what is not among them is null."""
    users = len(next(iter(columns.values())))
    given = {name: pa.array(values.tolist()) for name, values in columns.items()}
    given |= {"user_key": pa.array([f"{n:032x}" for n in range(users)]), "as_of": pa.array([as_of] * users)}
    whole = {f.name: given[f.name].cast(f.type) if f.name in given else pa.nulls(users, f.type) for f in
             t.USER_FEATURES.schema}  # fmt: skip
    lake.replace_partition(t.USER_FEATURES, pa.table(whole, schema=t.USER_FEATURES.schema), as_of)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "reports"


def drift(lake: Lake, folder: Path, then: Columns, now: Columns) -> DriftReport:
    keep(lake, AS_OF - 7 * ONE_DAY, then)
    keep(lake, AS_OF, now)
    return build_drift(lake, as_of=AS_OF, report_folder=folder)


def test_the_same_users_in_another_order_have_not_drifted(lake: Lake, folder: Path) -> None:
    then = features(1)
    order = np.random.default_rng(0).permutation(400)

    report = drift(lake, folder, then, {name: values[order] for name, values in then.items()})

    assert (report.rows, report.drifted, report.left_out) == (len(NUMERIC) + len(CATEGORICAL), {}, {})


@pytest.mark.parametrize("users", [400, 1500])  # Evidently compares by p-value up to 1,000 rows, by distance above
def test_a_planted_shift_is_found_and_nothing_else(lake: Lake, folder: Path, users: int) -> None:
    then = features(1, users)
    now = dict(then)
    now["clicks_per_100"] = then["clicks_per_100"] * 2
    now["country"] = np.where(np.arange(users) % 2 == 0, "x", then["country"])

    report = drift(lake, folder, then, now)

    assert set(report.drifted) == {"clicks_per_100", "country"}
    rows = {row["column"]: row for row in lake.read(t.DRIFT).to_pylist()}
    assert {name for name, row in rows.items() if row["drifted"]} == {"clicks_per_100", "country"}
    assert {row["reference_from"] for row in rows.values()} == {AS_OF - 7 * ONE_DAY}
    assert {row["report_path"] for row in rows.values()} == {str(report.report)}
    assert ("p_value" in rows["clicks_per_100"]["method"]) == (users <= 1000)


def test_the_page_is_whole_and_loads_nothing(lake: Lake, folder: Path) -> None:
    report = drift(lake, folder, features(1), features(2))

    assert report.report == folder / "data_drift" / "2026-03-31.html"
    page = report.report.read_text()
    assert page.rstrip().endswith("</html>")
    assert re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)\s*=", page) == []
    assert re.findall(r"@import\s+(?:url\(|[\"']http)|url\(\s*[\"']?https?:", page) == []
    assert [path.name for path in report.report.parent.iterdir()] == ["2026-03-31.html"]


def test_columns_that_hold_nothing_or_one_value_are_named_and_left_out(lake: Lake, folder: Path) -> None:
    then, now = features(1), features(2)
    del now["listen_through"]
    for columns in (then, now):
        columns["gender"] = np.full(400, "unknown")

    report = drift(lake, folder, then, now)

    assert report.left_out == {"listen_through": "no value on one side or both", "gender": "one value throughout"}
    assert report.rows == len(NUMERIC) + len(CATEGORICAL) - 2 == lake.count(t.DRIFT)


def test_without_earlier_features_nothing_is_said(lake: Lake, folder: Path) -> None:
    keep(lake, AS_OF, features(1))
    keep(lake, AS_OF + ONE_DAY, features(1))

    report = build_drift(lake, as_of=AS_OF, report_folder=folder)

    assert (report.rows, report.reference, report.report) == (0, None, None)
    assert report.note == "There are no earlier features to compare with."
    assert lake.count(t.DRIFT) == 0


def test_features_without_a_value_end_in_a_note(lake: Lake, folder: Path) -> None:
    report = drift(lake, folder, {"user_key": np.array(["a"])}, {"user_key": np.array(["a"])})

    assert (report.rows, report.report, report.note) == (0, None, "No column could be compared.")
    assert set(report.left_out) == {*NUMERIC, *CATEGORICAL}


@pytest.mark.parametrize(("days_before", "reference"), [([30, 9, 7, 3], 7), ([30, 9, 6], 9), ([6, 2], 6), ([1], 1)])
def test_the_reference_is_a_week_old_or_the_oldest_there_is(
    lake: Lake, folder: Path, days_before: list[int], reference: int
) -> None:
    for days in days_before:
        keep(lake, AS_OF - days * ONE_DAY, {"clicks": np.array([1, 2])})
    keep(lake, AS_OF, {"clicks": np.array([1, 2])})

    assert build_drift(lake, as_of=AS_OF, report_folder=folder).reference == AS_OF - reference * ONE_DAY


def test_a_repetition_leaves_the_same_scores(lake: Lake, folder: Path) -> None:
    drift(lake, folder, features(1), features(2))
    once = lake.fingerprint(t.DRIFT)

    build_drift(lake, as_of=AS_OF, report_folder=folder)

    assert lake.fingerprint(t.DRIFT) == once

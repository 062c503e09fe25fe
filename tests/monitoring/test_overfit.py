from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from firstchair.lake import Lake, Table
from firstchair.lake import tables as t
from monitoring import build_overfit

FIRST = date(2026, 3, 1)


def entered(lake: Lake, day: int, *, train: float, test: float, users: int = 400) -> None:
    """Evidence of one family on a day, with these means."""
    as_of = FIRST + timedelta(days=day)
    for table, level in ((t.TRAINING_EVIDENCE, train), (t.OFFLINE_EVIDENCE, test)):
        noise = np.random.default_rng(day).normal(scale=0.1, size=users)
        keep(lake, table, as_of, level + noise - noise.mean())


def keep(lake: Lake, table: Table, as_of: date, values: np.ndarray) -> None:
    rows = {"as_of": [as_of] * len(values), "family": ["als"] * len(values)}
    rows |= {"user_key": [f"u{n}" for n in range(len(values))]}
    rows |= dict.fromkeys(("recall_at_20", "ndcg_at_10", "ndcg_at_20"), values)
    lake.replace_partition(table, pa.table(rows, schema=table.schema), as_of)


def judged(
    lake: Lake, *last: tuple[float, float], usual: tuple[float, float] = (0.5, 0.3)
) -> list[bool]:
    """Whether the family overfits on each day: eight as usual, then these (train, test)."""
    found = []
    for day, (train, test) in enumerate([usual] * 8 + [*last]):
        entered(lake, day, train=train, test=test)
        report = build_overfit(lake, as_of=FIRST + timedelta(days=day), report_folder=None)
        found.append(report.overfit == ("als",))
    return found[8:]


def test_who_remembers_more_and_foresees_less_overfits(lake: Lake) -> None:
    assert judged(lake, (0.7, 0.25)) == [True]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (0.7, 0.31),  # more data: both grow
        (0.45, 0.25),  # a harder week: both fall
        (0.51, 0.29),  # within what is usual
    ],
)
def test_a_gap_that_is_no_overfitting_is_none(lake: Lake, train: float, test: float) -> None:
    assert judged(lake, (train, test)) == [False]


def test_the_gap_stands_with_its_interval_and_a_page(lake: Lake, tmp_path: Path) -> None:
    entered(lake, 0, train=0.5, test=0.3)

    report = build_overfit(lake, as_of=FIRST, report_folder=tmp_path)

    (row,) = lake.read(t.OVERFIT).to_pylist()
    assert row["gap"] == pytest.approx(0.2)
    assert row["gap_upper"] - row["gap"] == pytest.approx(1.96 * np.sqrt(2 * 0.1**2 / 400), rel=0.1)
    assert (row["usual_gap"], row["overfit"]) == (None, False)
    assert report.checks["als"].startswith("not enough data (missing: earlier days with models")
    assert report.report == tmp_path / "overfit" / "2026-03-01.html"
    assert report.report.exists()


@pytest.mark.parametrize("users", [1, 2])
def test_a_gap_of_few_users_is_not_judged(lake: Lake, users: int) -> None:
    for day, test in enumerate((0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.15)):
        entered(lake, day, train=0.6, test=test, users=users)
        last = FIRST + timedelta(days=day)
        report = build_overfit(lake, as_of=last, report_folder=None)

    assert report.overfit == ()
    assert report.checks["als"].startswith("not enough data (missing: users with training")

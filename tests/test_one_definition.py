"""A definition that several rooms read gives the same answers in each of them."""

import math
import tempfile
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.features import user_features
from firstchair.features.history import open_history
from firstchair.features.segments import user_segments
from firstchair.lake import DuckDBEngine, Lake, connect
from firstchair.lake import tables as t
from firstchair.promotion import LiveRules, Phase, Span, Stage, build_evidence
from firstchair.promotion.experiment import COLUMNS, as_evidence
from firstchair.promotion.experiment.evaluations import Evaluations
from monitoring import build_churn
from monitoring.samples import draw
from tests.monitoring.conftest import Story

ONE_DAY = timedelta(days=1)
START = date(2026, 1, 31)
MIDNIGHT = datetime(2026, 1, 31, tzinfo=UTC)
BORDER = MIDNIGHT - timedelta(days=30)
MOMENT = timedelta(microseconds=1)
LATE = 3
LAST = 24


def key(number: int) -> str:
    return f"{number:032x}"


def evidence(lake: Lake, *, last: date) -> None:
    """The evidence of a canary that began on `START`, with everybody in an arm."""
    span = Span(Phase(Stage.CANARY, "7", "3", 0.5, "first/7", START, START), None)
    build_evidence(
        lake,
        [span],
        first=START,
        last=last,
        salt="first",
        holdout_share=0.0,
        known_until=last + ONE_DAY,
    )


@pytest.mark.parametrize(
    ("created_at", "told"),
    [
        (BORDER - MOMENT, "long_term"),
        (BORDER, "long_term"),
        (BORDER + MOMENT, "new"),
        (BORDER + timedelta(hours=12), "new"),
        (datetime(1969, 7, 20, tzinfo=UTC), "long_term"),
        (MIDNIGHT + timedelta(hours=5), "new"),
        (None, "new"),
    ],
)
def test_a_user_has_one_lifecycle_on_a_day(
    lake: Lake, created_at: datetime | None, told: str
) -> None:
    story = Story(lake)
    story.user(key(1), created_at=created_at)
    story.login(key(1), f"{START}T12:00")
    story.told()
    evidence(lake, last=START)
    with DuckDBEngine(lake) as engine:
        (features,) = user_features(open_history(engine), as_of=START).to_pyarrow().to_pylist()
    with connect() as connection:
        all_of = user_segments(day=f"date '{START}'")
        query = f"select unnest({all_of}) as s from {lake.scan(t.USERS)} u"
        segments = {s["segment"]: s["value"] for (s,) in connection.execute(query).fetchall()}

    assert features["lifecycle"] == told
    assert segments["lifecycle"] == told
    assert {row["lifecycle"] for row in lake.read(t.EVIDENCE).to_pylist()} == {told}
    assert list(draw(lake, [START], max_users=10).days["lifecycle"]) == [told]


# Days of each user, counted from `START`, and whether the user did more on it than to be shown
# something.
histories = st.lists(
    st.dictionaries(st.integers(-45, LAST), st.booleans(), max_size=9), min_size=5, max_size=12
)


def lived(lake: Lake, users: list[dict[int, bool]]) -> Lake:
    story = Story(lake)
    for number, history in enumerate([*users, {LAST: True}]):
        # Each user is a cell of their own.
        story.user(key(number), country=key(number))
        for day, active in history.items():
            at = f"{START + day * ONE_DAY}T12:00"
            if active:
                story.login(key(number), at)
            else:
                story.shown(key(number), at, f"{number}{day}", "x")
    return story.told()


def by_definition(history: dict[int, bool], day: int, horizon: int) -> int | None:
    """The label of a day in plain words; None outside the base or before the horizon ends."""
    cut = day + 1
    active = {number for number, active in history.items() if active}
    if not active & set(range(cut - 28, cut)) or cut + horizon - 1 > LAST:
        return None
    return int(not active & set(range(cut, cut + horizon)))


@settings(max_examples=6, deadline=None)
@given(users=histories)
def test_churn_of_a_user_is_the_same_in_cells_in_evidence_and_at_a_look(
    users: list[dict[int, bool]],
) -> None:
    last, known_until = START + LAST * ONE_DAY, START + (LAST + 1) * ONE_DAY
    with tempfile.TemporaryDirectory() as folder:
        lake = lived(Lake(folder), users)
        evidence(lake, last=last)
        build_churn(
            lake,
            first_as_of=START + ONE_DAY,
            last_as_of=known_until,
            k_anonymity=1,
            late_tolerance_days=LATE,
            known_until=known_until,
        )
        rows = lake.read(t.EVIDENCE).sort_by("day")
        cells = lake.read(t.CHURN, "segment = 'country' and model_version = 'all'").to_pylist()
    label_of = {
        (cell["segment_value"], cell["as_of"], cell["horizon_days"]): cell for cell in cells
    }
    looked: dict[tuple[str, str], float] = {}
    for row in rows.to_pylist():
        day, history = (row["day"] - START).days, [*users, {LAST: True}][int(row["user_key"], 16)]
        for horizon in (7, 14):
            label, as_of = row[f"churned_{horizon}"], row["day"] + (horizon + 1) * ONE_DAY
            cell = label_of.get((row["user_key"], as_of, horizon))
            assert label == by_definition(history, day, horizon)
            assert label == (cell["churned"] if cell else None)
            if cell and cell["mature"]:
                looked[row["user_key"], f"churned_{horizon}"] = cell["churned"]

    *_, evaluation = Evaluations(
        as_evidence(rows.select(COLUMNS)), LiveRules(late_tolerance_days=LATE)
    )

    order = sorted(set(rows.column("user_key").to_pylist()))
    found = {
        (order[user], name): value
        for name, values in evaluation.labels.items()
        for user, value in enumerate(values)
        if not math.isnan(value)
    }
    assert found == looked

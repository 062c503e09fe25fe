"""A definition compiled once gives, for every day, what the definition gives for that day."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import ibis.expr.types as ir
import pytest

from firstchair.features import (
    artist_statistics,
    first_taken,
    interactions,
    open_history,
    open_views,
    over_history,
    slate_items,
    user_features,
    user_scalars,
)
from firstchair.lake import DuckDBEngine, Lake
from tests.firstchair.features.conftest import Scene, in_order

FIRST = date(2026, 1, 20)
SECOND = FIRST + timedelta(days=9)


@pytest.mark.parametrize(
    "definition",
    [artist_statistics, first_taken, interactions, slate_items, user_features, user_scalars],
    ids=lambda definition: definition.__name__,
)
def test_the_statement_of_each_day_gives_the_rows_of_that_day(
    definition: Callable[..., ir.Table], scene: Scene, lake: Lake
) -> None:
    scene.fill(lake, scene.busy(until=SECOND))
    found = []

    with DuckDBEngine(lake) as engine:
        open_views(engine)
        for day in (FIRST, SECOND):
            given = days_of(definition, day)
            by_statement = engine.rows(over_history, definition=definition, **given)
            by_ibis = definition(open_history(engine), **given).to_pyarrow()
            assert by_statement.schema == by_ibis.schema
            assert in_order(by_statement) == in_order(by_ibis)
            found.append(in_order(by_statement))

    assert found[0] != found[1]


def days_of(definition: Callable[..., ir.Table], day: date) -> dict[str, Any]:
    """The arguments that cut the history at `day`."""
    if definition in (first_taken, slate_items):
        return {"start": day - timedelta(days=35), "end": day}
    return {"as_of": day}

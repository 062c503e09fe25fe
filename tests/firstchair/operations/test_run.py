"""A run in this process over the lived service: what blocks it, and that it can be spared everything."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dagster_project.definitions import defs
from dagster_project.execution import materialise
from dagster_project.instance import open_instance
from firstchair.errors import DataError, RunError
from firstchair.lake import tables as t
from firstchair.operations import open_platform, run
from firstchair.operations.platform import Platform
from firstchair.operations.run import AFTER, FEATURES, HISTORY, MODELS
from tests.service import LAST_DAY, Lived

MORNING = datetime(2026, 1, 31, 6, tzinfo=UTC)
AS_OF = LAST_DAY + timedelta(days=1)
BUILT = (t.USER_FEATURES, t.INTERACTIONS, t.RECOMMENDATIONS)


@pytest.fixture
def platform(inside: Lived) -> Platform:
    return open_platform(now=MORNING)


def test_a_day_of_which_too_much_was_refused_blocks_every_run_and_not_the_first_alone(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_MAX_QUARANTINE_RATE", "0")
    strict = replace(platform, settings=platform.settings.model_copy(update={"max_quarantine_rate": 0.0}))
    before = [platform.lake.version(table) for table in BUILT]
    instance = open_instance(platform.settings)

    with pytest.raises(DataError, match="records of 2026-01-30 were refused"):
        run(strict, without=HISTORY)
    for asset in FEATURES:
        with pytest.raises(RunError, match=f"{asset} failed.*were refused and not accepted since"):
            materialise(defs(), instance, [asset], on_step=lambda *_: None, days=(LAST_DAY, LAST_DAY))

    assert [platform.lake.version(table) for table in BUILT] == before


def test_a_run_that_is_spared_everything_ends_well(platform: Platform) -> None:
    report = run(platform, without=(*HISTORY, *FEATURES, *MODELS, *AFTER))

    assert (report.last, report.model_days) == (LAST_DAY, (LAST_DAY,))

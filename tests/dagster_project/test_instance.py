"""Dagster's instance over Postgres: what a run costs the server."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa

from dagster_project.execution import materialise
from dagster_project.instance import POSTGRES_URL, open_instance
from firstchair.settings import Settings

DAYS = dg.DailyPartitionsDefinition(start_date="2026-01-01")
MONTH = (date(2026, 1, 1), date(2026, 1, 31))


@dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def accepted() -> None:
    pass


@pytest.fixture
def settings(
    new_database: Callable[..., sa.URL], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """A home whose databases are new."""
    for name in ("DAGSTER_HOME", POSTGRES_URL):  # set for this process when it is opened
        monkeypatch.setenv(name, "")
    base = new_database()
    for owner in ("mlflow", "dagster"):
        new_database(name=f"{base.database}_{owner}")
    url = base.render_as_string(hide_password=False)
    return Settings(home=tmp_path / "home", database_url=url, source_database_url=url)


@pytest.fixture
def opened() -> Iterator[list[object]]:
    """Each connection that this process opens meanwhile."""
    found: list[object] = []

    def note(connection: object, _record: object) -> None:
        found.append(connection)

    sa.event.listen(sa.Pool, "connect", note)
    yield found
    sa.event.remove(sa.Pool, "connect", note)


def test_a_run_opens_no_connection_for_each_day_that_it_records(
    settings: Settings, opened: list[object]
) -> None:
    with open_instance(settings) as instance:
        opened.clear()

        materialise(
            dg.Definitions([accepted]), instance, ["accepted"], on_step=lambda *_: None, days=MONTH
        )

        recorded = instance.get_materialized_partitions(dg.AssetKey("accepted"))
    assert len(recorded) == 31
    assert len(opened) < 31


def test_a_run_asks_once_for_the_form_of_tables_and_writes_all_days_of_an_asset_at_once(
    settings: Settings,
) -> None:
    with open_instance(settings) as instance:
        statements: list[str] = []

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        sa.event.listen(sa.Engine, "before_cursor_execute", note)
        for _ in range(2):
            materialise(
                dg.Definitions([accepted]),
                instance,
                ["accepted"],
                on_step=lambda *_: None,
                days=MONTH,
            )
        sa.event.remove(sa.Engine, "before_cursor_execute", note)

        made = instance.fetch_materializations(dg.AssetKey("accepted"), limit=100).records
    assert len(made) == 62
    assert len([one for one in statements if "pg_catalog.pg_attribute" in one]) <= 8
    # Those that are planned are written one by one.
    assert len(statements) < 62 * 6

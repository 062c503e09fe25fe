"""Lineage: each step tells what it reads and writes, of no user, and never stops a run."""

import json
import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from dagster_project.definitions import defs
from dagster_project.lineage import tell_of
from firstchair.databases import Databases
from firstchair.errors import DataError, SettingsError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.platform import open_platform
from firstchair.platform.lineage import READS, WRITES, Lineage, State, Step
from firstchair.settings import Settings

ACCOUNTS = sa.make_url("postgresql+psycopg://reader:secret-word@db.example:5433/service")
RUN = "5b11f4ce-a62d-471e-81fc-a69a8278c7da"
AT = datetime(2026, 2, 1, 3, tzinfo=UTC)


def told(folder: Path, *steps: tuple[State, Step], **settings: Any) -> list[dict[str, Any]]:
    """The events that a file gets."""
    file = folder / "lineage.jsonl"
    given = {"home": folder / "home", "openlineage_url": str(file)} | settings
    lineage = Lineage(Settings(**given), ACCOUNTS)
    for state, step in steps:
        lineage.tell(state, step)
    return [json.loads(line) for line in file.read_text().splitlines()]


def step(asset: str, **changes: Any) -> Step:
    return Step(
        **({"run_id": RUN, "job": "pipeline", "day": None, "at": AT} | changes), asset=asset
    )


def test_a_step_names_its_tables_with_their_columns_and_its_run(tmp_path: Path) -> None:
    begun, done = told(
        tmp_path,
        (State.START, step("silver_events", day="2026-01-31")),
        (State.COMPLETE, step("silver_events", day="2026-01-31")),
    )

    lake = tmp_path / "home" / "lake"
    assert [begun["eventType"], done["eventType"]] == ["START", "COMPLETE"]
    assert begun["run"]["runId"] == done["run"]["runId"] != RUN
    assert done["run"]["facets"]["parent"]["run"]["runId"] == RUN
    assert done["job"] == {"namespace": "firstchair", "name": "silver_events"} | {
        "facets": done["job"]["facets"]
    }
    tags = {tag["key"]: tag["value"] for tag in done["run"]["facets"]["tags"]["tags"]}
    assert tags == {"simulated": "false", "partition": "2026-01-31"} | {
        name: value for name, value in tags.items() if name.startswith("openlineage")
    }
    written = {one["name"]: one["facets"]["schema"]["fields"] for one in done["outputs"]}
    assert set(written) == {f"{lake}/silver/events", f"{lake}/quarantine/events"}
    assert [field["name"] for field in written[f"{lake}/silver/events"]] == t.EVENTS.schema.names
    assert {one["name"] for one in done["inputs"]} >= {
        f"{lake}/bronze/events",
        f"{lake}/silver/users",
    }


def test_sources_are_named_without_their_secrets_and_a_failure_without_its_words(
    tmp_path: Path,
) -> None:
    users, landed, failed = told(
        tmp_path,
        (State.COMPLETE, step("users")),
        (State.COMPLETE, step("landed_events")),
        (State.FAIL, step("als_model", error="DataError")),
        events_url="s3://key:secret-word@bucket/events",  # pragma: allowlist secret
    )

    assert [(one["namespace"], one["name"]) for one in users["inputs"]] == [
        ("postgres://db.example:5433", "service.public")
    ]
    assert [(one["namespace"], one["name"]) for one in landed["inputs"]] == [
        ("s3://bucket", "events")
    ]
    assert [(one["namespace"], one["name"]) for one in failed["outputs"]] == [
        ("mlflow", "als_model")
    ]
    assert failed["run"]["facets"]["errorMessage"]["message"] == "DataError"
    assert "secret-word" not in json.dumps([users, landed, failed])


def test_reads_and_writes_are_those_of_the_graph() -> None:
    graph = defs().resolve_asset_graph()
    upstream = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }

    assert {name: set(parents) for name, parents in READS.items()} == {
        name: parents for name, parents in upstream.items() if parents
    }
    assert set(WRITES) <= set(upstream)


def test_the_run_that_writes_the_first_simulated_events_says_so(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, openlineage_url=str(tmp_path / "lineage.jsonl"))
    lineage = Lineage(settings, ACCOUNTS)
    event = {"event_id": "a", "event_date": AT.date(), "simulated": True}
    rows = pa.Table.from_pylist(
        [dict.fromkeys(t.EVENTS.schema.names) | event], schema=t.EVENTS.schema
    )

    lineage.tell(State.START, step("silver_events"))
    Lake(settings.lake_url).append(t.EVENTS, rows)
    lineage.tell(State.COMPLETE, step("silver_events"))

    told = map(json.loads, (tmp_path / "lineage.jsonl").read_text().splitlines())
    tags = [each["run"]["facets"]["tags"]["tags"] for each in told]
    assert [{tag["key"]: tag["value"] for tag in each}["simulated"] for each in tags] == [
        "false",
        "true",
    ]


def test_a_lake_that_cannot_be_read_stops_no_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(home=tmp_path, openlineage_url=str(tmp_path / "lineage.jsonl"))
    rows = pa.Table.from_pylist(
        [dict.fromkeys(t.EVENTS.schema.names) | {"event_date": AT.date()}], schema=t.EVENTS.schema
    )
    Lake(settings.lake_url).append(t.EVENTS, rows)
    for file in Path(settings.lake_url).rglob("*.parquet"):
        file.unlink()

    with caplog.at_level(logging.WARNING):
        Lineage(settings, ACCOUNTS).tell(State.START, step("churn"))

    assert "START of churn was not sent" in caplog.text


def test_an_address_that_does_not_answer_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(
        home=tmp_path,
        openlineage_url="http://127.0.0.1:9",
        openlineage_api_key=SecretStr("secret-word"),
    )

    with caplog.at_level(logging.WARNING):
        Lineage(settings, ACCOUNTS).tell(State.START, step("churn"))

    assert "START of churn was not sent" in caplog.text
    assert "secret-word" not in caplog.text


def test_without_the_library_the_setting_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openlineage.client", None)

    with pytest.raises(SettingsError, match="openlineage-python is not installed"):
        Lineage(Settings(home=tmp_path, openlineage_url="http://127.0.0.1:9"), ACCOUNTS)


def test_a_run_of_dagster_tells_of_each_step_and_of_the_class_of_its_failure(
    tmp_path: Path, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRSTCHAIR_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("FIRSTCHAIR_OPENLINEAGE_URL", str(tmp_path / "lineage.jsonl"))
    database = databases.ledger.render_as_string(hide_password=False)
    monkeypatch.setenv("FIRSTCHAIR_DATABASE_URL", database)
    monkeypatch.setenv("FIRSTCHAIR_SOURCE_DATABASE_URL", database)

    class Telling(dg.ConfigurableResource):  # type: ignore[type-arg]
        def setup_for_execution(self, context: dg.InitResourceContext) -> None:
            assert context.run is not None
            tell_of(context.instance, context.run, open_platform())

    @dg.asset
    def users(platform: Telling) -> None: ...

    @dg.asset(deps=[users])
    def catalogue(platform: Telling) -> None:
        raise DataError("of ann@example.org", where="x", data="x", remedy="x")

    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize(
            [users, catalogue],
            instance=instance,
            resources={"platform": Telling()},
            raise_on_error=False,
        )

    text = (tmp_path / "lineage.jsonl").read_text()
    events = [json.loads(line) for line in text.splitlines()]
    assert [(one["job"]["name"], one["eventType"]) for one in events] == [
        ("users", "START"),
        ("users", "COMPLETE"),
        ("catalogue", "START"),
        ("catalogue", "FAIL"),
    ]
    assert events[-1]["run"]["facets"]["errorMessage"]["message"] == "DataError"
    assert "ann@example" not in text

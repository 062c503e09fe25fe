"""The shell: what exists, that it loads, and that it stays a shell."""

import ast
from pathlib import Path

import dagster as dg
import pytest

from dagster_project.definitions import defs
from dagster_project.metadata import report_page
from firstchair.definitions.source_tables import OTHER_TABLES
from firstchair.models import Family, model_name
from firstchair.settings import Settings

ASSETS = Path(__file__).parents[2] / "dagster_project" / "assets"
GROUPS = {
    "ingestion": {"landed_events", "users", "catalogue", *(table.name for table in OTHER_TABLES)},
    "validation": {"silver_events"},
    "features": {"user_features", "interactions"},
    "models": {
        *map(model_name, Family),
        "popularity_reference",
        "evidence",
        "promotion_decision",
    },
    "recommendations": {"recommendations", "published_lists"},
    "monitoring": {
        "engagement_daily",
        "engagement_baselines",
        "churn",
        "survival",
        "data_quality",
        "data_drift",
        "overfit",
        "monitoring_run",
        "lake_upkeep",
    },
}
HEAVY = {"pandas", "numpy", "mlflow", "xgboost", "implicit", "duckdb", "deltalake"}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return defs()


def specs(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return list(definitions.resolve_all_asset_specs())


def test_the_code_location_loads(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)


def test_every_asset_stands_in_its_group(definitions: dg.Definitions) -> None:
    found: dict[str, set[str]] = {}
    for spec in specs(definitions):
        found.setdefault(str(spec.group_name), set()).add(spec.key.to_user_string())

    assert found == GROUPS


def test_every_asset_says_what_it_is_and_whose(definitions: dg.Definitions) -> None:
    silent = [
        spec.key
        for spec in specs(definitions)
        if not (spec.description and spec.owners and spec.kinds)
    ]

    assert silent == []


def test_the_schedule_and_the_sensors_have_their_names(definitions: dg.Definitions) -> None:
    assert {schedule.name for schedule in definitions.schedules or ()} == {"daily"}
    assert {sensor.name for sensor in definitions.sensors or ()} == {
        "landing_sensor",
        "retraining_sensor",
        "promotion_sensor",
        "alert_sensor",
    }


def test_schedule_and_sensors_run_without_being_switched_on(definitions: dg.Definitions) -> None:
    states = {
        item.default_status.value
        for item in [*(definitions.schedules or ()), *(definitions.sensors or ())]
    }

    assert states == {"RUNNING"}


def test_the_decision_is_left_to_the_promotion_sensor(definitions: dg.Definitions) -> None:
    decided_by = [
        job.name
        for job in definitions.jobs or ()
        if "promotion_decision"
        in {str(node) for node in definitions.resolve_job_def(job.name).graph.node_dict}
    ]

    assert decided_by == ["decision"]


def test_every_asset_but_the_decision_says_by_when_it_should_be_new(
    definitions: dg.Definitions,
) -> None:
    policies = {spec.key.to_user_string(): spec.freshness_policy for spec in specs(definitions)}

    assert {name for name, policy in policies.items() if policy is None} == {"promotion_decision"}
    assert len({policy for policy in policies.values() if policy is not None}) == 1


def test_no_condition_starts_runs_beside_the_schedule_and_the_sensors(
    definitions: dg.Definitions,
) -> None:
    assert [spec.key for spec in specs(definitions) if spec.automation_condition] == []


@pytest.mark.parametrize("module", sorted(ASSETS.glob("[a-z]*.py")), ids=lambda path: path.stem)
def test_an_asset_module_is_a_shell(module: Path) -> None:
    tree = ast.parse(module.read_text())
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else name.name).split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    }
    steps = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any("asset" in ast.unparse(line) for line in node.decorator_list)
    ]
    statements = {step.name: len(step.body) - 1 for step in steps}

    assert imported & HEAVY == set()
    assert max(statements.values()) <= 6
    assert not [
        node
        for step in steps
        for node in ast.walk(step)
        if isinstance(node, ast.For | ast.While | ast.Try)
    ]


def test_a_page_of_monitoring_is_linked_in_the_console_and_no_file(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, api_port=8123)

    page = report_page(settings.reports / "data_drift" / "2026-01-10.html", settings)

    assert page == f"{settings.page('')}reports/data_drift/2026-01-10"
    assert page.startswith("http://") and ":8123/" in page
    assert report_page(None, settings) is None

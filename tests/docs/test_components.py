"""The schematic names every component of the code, and each of its entries stands in the code."""

import ast
import re
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from dagster_project.definitions import defs
from docs.scripts import assets, components
from firstchair.commands.up import NAMES
from firstchair.databases import Databases
from firstchair.lake.tables import ALL_TABLES
from firstchair.models import FAMILIES, model_name
from firstchair.settings import Settings

ROOT = Path(__file__).parents[2]
VIEWS = components.views()
FLOWS = [(view["id"], flow) for view in VIEWS for flow in view["flow"]]
WRITTEN = components.page()
# Assets that the pictures show together as "Models" and "monitoring".
TOGETHER = {model_name(family) for family in FAMILIES} | {
    f"{name}" for name in ("engagement_baselines", "engagement_daily", "churn", "survival")
}


@cache
def names_in(path: Path) -> set[str]:
    """Names that a module defines at its top."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        targets = getattr(node, "targets", [getattr(node, "target", node)])
        found |= {getattr(target, "id", getattr(target, "name", "")) for target in targets}
    return found


@pytest.mark.parametrize(("view", "flow"), FLOWS)
def test_a_connection_stands_in_the_code(view: str, flow: dict[str, str]) -> None:
    path, name = flow["code"].split(":")

    assert name in names_in(ROOT / path), f"{view}: {flow['code']}"


@pytest.mark.parametrize("path", sorted(components.files()), ids=lambda path: path.name)
def test_the_page_and_its_pictures_are_current(path: Path) -> None:
    assert path.read_text() == components.files()[path], "Run `make reference` and commit."


def test_every_asset_sensor_schedule_job_and_table_is_named() -> None:
    definitions = defs()
    graph = definitions.resolve_asset_graph()
    named = {key.to_user_string() for key in graph.get_all_asset_keys()} - TOGETHER
    started = chain(definitions.sensors or (), definitions.schedules or (), definitions.jobs or ())
    named |= {found.name for found in started} | {table.name for table in ALL_TABLES}
    drawn = WRITTEN + " ".join(box["name"] for view in VIEWS for box in view["box"])

    assert {name for name in named if not re.search(rf"\b{re.escape(name)}\b", drawn)} == set()


def test_the_picture_of_the_assets_is_current_and_shows_all_of_them() -> None:
    drawn = assets.PICTURE.read_text()

    assert drawn == assets.drawing(), "Run `make reference` and commit what it writes."
    graph = defs().resolve_asset_graph()
    names = re.findall(r">(\w+)</text>", drawn)
    assert names.count("users") == 1
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} <= set(names)


def test_every_process_port_and_database_is_drawn() -> None:
    boxes = {box["name"]: " ".join(box.get("note", ())) for box in VIEWS[1]["box"]}

    assert {name for name in NAMES if not any(box.startswith(name) for box in boxes)} == set()
    for port in ("api_port", "dagster_port", "mlflow_port"):
        assert any(str(Settings.model_fields[port].default) in note for note in boxes.values())
    assert set(Databases.__dataclass_fields__) <= set(re.findall(r"\w+", boxes["Postgres"]))


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view["id"])
def test_a_picture_holds_its_letters_and_no_number_covers_another(view: dict[str, object]) -> None:
    found = {box["id"]: components.Box(**box) for box in view["box"]}  # type: ignore[attr-defined]

    placed = list(components.badges(components.curves(view, found)))

    assert len({(round(x), round(y)) for x, y in placed}) == len(placed)
    assert all(
        len(note) * 7.6 < components.BOX_WIDTH for box in found.values() for note in box.note
    )
    assert len({tuple(box.at) for box in found.values()}) == len(found)

"""The diffs of docs/extending.md: small, and after them the new thing works."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from firstchair.databases import Databases
from tests import forks
from tests.conftest import making

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "extending.md").read_text()
NAMES = ("family", "segment", "guardrail", "source_table", "trigger")
DIFFS = dict(zip(NAMES, re.findall(r"^```diff\n(.*?)^```", TEXT, re.M | re.S), strict=True))
COPIED = ("src/firstchair", "dagster_project", "monitoring", "expectations", "docs")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source with all five diffs applied."""
    copy = tmp_path_factory.mktemp("extended")
    for name in COPIED:
        ignored = shutil.ignore_patterns("static", "images", "figures")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for diff in DIFFS.values():
        subprocess.run(
            ["git", "apply", "-"],
            input=diff,
            cwd=copy,
            env=os.environ | {"GIT_CEILING_DIRECTORIES": str(copy.parent)},
            text=True,
            check=True,
        )
    return copy


@pytest.fixture(scope="module")
def found(folder: Path, session_databases: Databases) -> dict[str, Any]:
    """What the extensions do, by name."""
    with making(session_databases) as make:
        url = make().render_as_string(hide_password=False)
        script = f"import sys; sys.argv = ['', {str(folder)!r}]\n"
        script += f"exec(open({str(ROOT / 'tests' / 'extended.py')!r}).read())"
        env = os.environ | {
            "FIRSTCHAIR_TESTS_DATABASE": url,
            "FIRSTCHAIR_HOME": str(folder / "home"),
        }
        ended = forks.script(script, env=env, cwd=ROOT)
    assert ended.returncode == 0, ended.stderr
    return dict(json.loads(ended.stdout))


@pytest.mark.parametrize("name", NAMES)
def test_an_extension_is_a_small_diff_of_few_files(name: str) -> None:
    lines = [line for line in DIFFS[name].splitlines() if not line.startswith(" ")]

    assert len(lines) < 30
    assert sum(line.startswith("+++ ") for line in lines) <= 3


def test_a_new_family_is_fitted_saved_and_recommends(found: dict[str, Any]) -> None:
    assert found["family"] == {
        "lists": [["a007", "a000"], ["a004", "a000"]],
        "reasons": ["Followed by many"],
    }
    assert found["source_table"]["assets"]["followers_model"] == "models"


def test_a_new_segment_is_in_engagement_and_in_evidence(found: dict[str, Any]) -> None:
    assert found["segment"] == {"engagement": ["2024", "2025"], "evidence": ["2024", "2025"]}


def test_a_new_guardrail_is_judged_and_its_codes_are_documented(
    found: dict[str, Any], folder: Path
) -> None:
    judged = found["guardrail"]

    assert judged["worse"] == ["reject", "follows_per_100_deteriorated"]
    assert judged["equal"] == "hold"
    assert judged["asked"] == ["follows_per_100_not_inferior"]
    assert judged["role"] == ["guardrail", -0.05]
    section = (folder / "docs" / "gate.md").read_text().split("## Reason codes\n")[1]
    listed = re.findall(r"^\| `(\w+)`", section.split("\n## ")[0], re.M)
    assert sorted(listed) == judged["codes"]


def test_a_new_source_table_is_read_validated_and_an_asset(found: dict[str, Any]) -> None:
    table = found["source_table"]

    assert table["report"] == [5, 2, 3]
    assert table["kept"] == ["Blue", "Stax"]
    assert table["refused"] == [
        ["a", "duplicate_key"],
        ["b", "missing_field"],
        ["d", "out_of_range"],
    ]
    assert table["assets"]["labels"] == "ingestion"


def test_a_new_trigger_asks_for_a_run(found: dict[str, Any]) -> None:
    ((job, *causes),) = found["trigger"]

    assert job == "retraining"
    assert "new_artists" in causes

import json
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest

from firstchair.lake import connect
from firstchair.lake import tables as t
from monitoring import baselines as measured
from monitoring import build_baselines

from .conftest import Row, Story

DAY = date(2026, 3, 2)


def rows(story: Story, *, k: int = 1, **baselines: str) -> dict[tuple[str, str], Row]:
    families = {version.removeprefix("v"): family for version, family in baselines.items()}
    build_baselines(story.told(), first=DAY, last=DAY, baselines=families, k_anonymity=k)
    return {
        (row["model_version"], row["baseline"]): row
        for row in story.lake.read(t.BASELINES).to_pylist()
    }


def served(
    story: Story, user: str, version: str, clicked: int, at: str = "2026-03-02T12:00"
) -> None:
    """A slate of ten, so many of them clicked."""
    story.shown(user, at, f"s-{user}-{at}", "abcdefghij", version=version)
    for artist in "abcdefghij"[:clicked]:
        story.clicked(user, at.replace("T12", "T13"), f"s-{user}-{at}", artist)


def test_a_version_is_held_against_the_lists_of_those_held_back(story: Story) -> None:
    for n in range(30):
        served(story, f"u{n}", "1", 1 + n % 3)
        served(story, f"h{n}", "7", n % 3)

    found = rows(story, v7="trending")

    row = found["1", "trending"]
    assert set(found) == {("1", "trending")}
    assert (row["ctr"], row["baseline_ctr"]) == pytest.approx((0.2, 0.1))
    assert row["relative_difference"] == pytest.approx(1.0)
    assert row["lower"] < 1 < row["upper"]
    assert (row["users"], row["baseline_users"], row["impressions"]) == (30, 30, 300)


def test_slots_given_to_a_drawn_artist_are_a_baseline_of_their_own(story: Story) -> None:
    for n in range(20):
        served(story, f"u{n}", "1", 2)
    for n, event in enumerate([e for e in story.events if e["event_type"] == "impression"]):
        event["propensity"] = 0.001 if n % 10 == 1 + 8 * (n % 20 > 9) else 0.99

    row = rows(story)["1", "exploration"]

    assert row["baseline_ctr"] == pytest.approx(0.5)
    assert row["ctr"] == pytest.approx((40 - 10) / 180)
    assert row["baseline_impressions"] == 20


def test_a_row_tells_of_a_week(story: Story) -> None:
    for n in range(4):
        served(story, f"u{n}", "1", 2, at="2026-02-24T12:00")
        served(story, f"u{n}", "1", 2, at="2026-02-23T12:00")
        served(story, f"h{n}", "7", 1)

    assert rows(story, v7="random")["1", "random"]["impressions"] == 40


def test_few_users_are_not_published(story: Story) -> None:
    for n in range(30):
        served(story, f"u{n}", "1", 1)
    for n in range(19):
        served(story, f"h{n}", "7", 1)

    assert rows(story, k=20, v7="trending") == {}


def test_one_account_moves_no_comparison(story: Story) -> None:
    for n in range(120):
        served(story, f"u{n}", "1", 2)
        served(story, f"h{n}", "7", 2)
    for n in range(200):
        for version in ("1", "7"):
            story.shown(
                f"program-{version}",
                "2026-03-02T12:00",
                f"p{n}-{version}",
                "abcdefghij",
                version=version,
            )

    row = rows(story, v7="trending")["1", "trending"]

    # The bound c of 50 mean users: c = 50 (c + 1,200) / 121 for each side.
    assert row["ctr"] == row["baseline_ctr"] == 240 / (1_200 + round(50 * 1_200 / 71))
    assert (row["impressions"], row["baseline_impressions"]) == (3_200, 3_200)


def test_the_work_grows_with_users_and_not_with_their_square(
    story: Story, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profile = tmp_path / "profile.json"

    def profiled() -> duckdb.DuckDBPyConnection:
        connection = connect()
        connection.execute(f"""
            set enable_profiling = 'json'; set profiling_output = '{profile}'""")
        return connection

    monkeypatch.setattr(measured, "connect", profiled)
    for n in range(200):
        story.shown(f"u{n}", "2026-03-02T12:00", f"s{n}", "ab", version="1")
        story.shown(f"h{n}", "2026-03-02T12:00", f"h{n}", "ab", version="7")
    for event in story.events[::4]:
        event["propensity"] = 0.001

    assert set(rows(story, v7="trending")) == {("1", "trending"), ("1", "exploration")}
    steps = [*operators(json.loads(profile.read_text()))]
    assert any(step["type"] == "HASH_JOIN" for step in steps)
    assert max(step["intermediate_rows"] for step in steps) < 10 * 200


def operators(node: dict[str, Any]) -> list[dict[str, Any]]:
    """Each step of a profiled query."""
    below = [*node.get("children", []), *node.get("operator", [])]
    own = [node] if "intermediate_rows" in node else []
    return own + [step for child in below for step in operators(child)]

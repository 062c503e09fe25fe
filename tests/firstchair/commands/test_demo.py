"""The demo: listeners live with the platform, and what they are shown is what was published."""

import hashlib
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from firstchair.commands.demo import Demo, run_demo
from firstchair.definitions.families import CONTENDERS
from firstchair.errors import RunError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import listed_families
from firstchair.privacy import user_key
from firstchair.settings import Settings
from firstchair.world import WorldSpec, user_id
from tests.service import Service

SMALL = (
    "--users",
    150,
    "--artists",
    100,
    "--days",
    14,
    "--lived",
    2,
    "--start",
    "2026-01-01",
    "--no-ui",
)


@pytest.fixture(scope="module")
def demo(new_home: Callable[[str], Path]) -> tuple[Service, dict[str, Any]]:
    service = Service(new_home("demo"), {"pseudonym_key": ""})
    return service, service.json("demo", *SMALL)


def test_lived_days_show_what_was_published_the_morning_before(
    demo: tuple[Service, dict[str, Any]],
) -> None:
    service, _ = demo
    shown = service.rows(t.EVENTS, "event_type = 'impression' and event_date > date '2026-01-14'")
    lists = {
        (str(row["as_of"]), row["model_version"], row["user_key"], row["artist_id"])
        for row in service.rows(t.RECOMMENDATIONS)
    }

    ranked = [row for row in shown if row["propensity"] > 0.5]

    by_lists = [
        (str(row["event_date"]), row["model_version"], row["user_key"], row["artist_id"]) in lists
        for row in ranked
    ]
    assert len(ranked) > 100
    assert sum(by_lists) > 0.8 * len(
        ranked
    )  # the others were folded in, or came to nobody's list yet


def test_a_listener_has_the_same_pseudonym_in_every_home_so_that_a_seed_gives_him_the_same_arm(
    demo: tuple[Service, dict[str, Any]],
) -> None:
    service, _ = demo
    key = hashlib.sha256(b"firstchair demo 7").hexdigest().encode()

    assert {row["user_key"] for row in service.rows(t.USERS)} >= {
        user_key(user_id(number), key) for number in range(9)
    }


def test_the_truth_of_all_lists_is_kept_for_the_lived_days(
    demo: tuple[Service, dict[str, Any]],
) -> None:
    service, _ = demo

    truth = pd.read_parquet(service.home / "truth" / "expected.parquet")

    assert truth["day"].nunique() == 2
    assert truth["model_version"].nunique() >= len(listed_families(CONTENDERS))


def test_a_demo_that_was_lived_is_shown_and_not_lived_again(
    demo: tuple[Service, dict[str, Any]],
) -> None:
    service, summary = demo

    again = service.json("demo", *SMALL)

    assert again["run"]["runs"] == []
    of_the_process = {"run": None, "memory": None}
    assert {**again, **of_the_process} == {**summary, **of_the_process}


def test_a_home_with_other_data_is_left_alone(tmp_path: Path) -> None:
    service = Service(tmp_path / "home")
    (service.home / "lake").mkdir(parents=True)

    refused = service.run("demo", *SMALL, code=1)

    assert "no demo made" in refused.stderr
    assert (service.home / "lake").exists()


def marked(tmp_path: Path, *, simulated: bool) -> Settings:
    """A home of an earlier demo, with one event in its lake."""
    settings = Settings(home=tmp_path / "home")
    event = dict.fromkeys(t.EVENTS.schema.names) | {
        "event_id": "event-1",
        "event_date": date(2026, 1, 1),
        "simulated": simulated,
    }
    Lake(settings.lake_url).append(t.EVENTS, pa.Table.from_pylist([event], schema=t.EVENTS.schema))
    (settings.home / "demo.json").write_text("{}")
    return settings


@pytest.fixture
def begin(monkeypatch: pytest.MonkeyPatch) -> Callable[[Settings], None]:
    """Begins a demo that ends as soon as it has removed the earlier one."""
    spec = WorldSpec(users=1, artists=1, days=1, seed=1, start=date(2026, 1, 1))

    def end(_: Settings) -> None:
        raise InterruptedError

    def call(settings: Settings) -> None:
        monkeypatch.setattr("firstchair.commands.demo.open_platform", end)
        with pytest.raises(InterruptedError):
            run_demo(settings, Demo(spec, history_days=1))

    return call


def test_a_demo_is_removed_though_its_server_was_killed(
    tmp_path: Path, begin: Callable[[Settings], None]
) -> None:
    settings = marked(tmp_path, simulated=True)
    server = settings.home / "postgres"
    server.mkdir()
    (server / "postmaster.pid").write_text(f"1\n{server}\n")

    begin(settings)

    assert not (settings.home / "demo.json").exists()
    assert not (settings.home / "lake").exists()


def test_a_home_of_a_demo_with_real_events_is_left_alone(
    tmp_path: Path, begin: Callable[[Settings], None]
) -> None:
    settings = marked(tmp_path, simulated=False)

    with pytest.raises(RunError, match="holds 1 events that no demo made"):
        begin(settings)

    assert Lake(settings.lake_url).count(t.EVENTS) == 1


@pytest.mark.parametrize("name", ["database_url", "source_database_url"])
def test_a_home_of_a_demo_with_a_database_of_its_own_is_left_alone(
    tmp_path: Path, begin: Callable[[Settings], None], name: str
) -> None:
    settings = marked(tmp_path, simulated=True)

    with pytest.raises(RunError, match="a database server of its own is set"):
        begin(settings.model_copy(update={name: "postgresql://nobody@127.0.0.1:9/x"}))

    assert (settings.home / "demo.json").exists()

"""The whole loop on a small simulated service, through the commands a person types."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from firstchair.definitions.families import CONTENDERS
from firstchair.definitions.segments import Segment
from firstchair.lake import tables as t
from firstchair.models import listed_families
from tests.service import LAST_DAY, Lived, Service, different

AS_OF = LAST_DAY + timedelta(days=1)
FAMILIES = {
    "als",
    "item-item",
    "graph-filter",
    "blend",
    "xgboost",
    "content",
    "decayed-popularity",
    "trending",
    "random",
}


@pytest.fixture(scope="module")
def service(lived: Lived) -> Service:
    return lived.service


def test_every_record_read_has_one_fate(lived: Lived) -> None:
    events, lake = lived.summary["events"], lived.service.lake

    assert events["read"] == events["accepted"] + events["duplicates"] + sum(
        events["quarantined"].values()
    )
    assert events["accepted"] == lake.count(t.EVENTS)
    assert sum(events["quarantined"].values()) == lake.count(t.QUARANTINE_EVENTS)


def test_what_delivery_broke_is_what_is_found_broken(lived: Lived) -> None:
    planted = json.loads((lived.service.home / "truth" / "delivery.json").read_text())
    events = lived.summary["events"]

    assert events["duplicates"] == planted["duplicates"]
    assert events["conflicting_duplicates"] == planted["conflicting_duplicates"]
    assert events["quarantined"] == planted["quarantined"]


def test_every_user_has_a_full_list_by_every_family_that_may_be_shown(service: Service) -> None:
    users = {row["user_key"] for row in service.rows(t.USERS)}
    lists: dict[tuple[str, str], list[dict[str, object]]] = {}
    for row in service.rows(t.RECOMMENDATIONS, f"as_of = date '{AS_OF}'"):
        lists.setdefault((row["model_version"], row["user_key"]), []).append(row)

    assert {user for _, user in lists} == users
    families = listed_families(CONTENDERS)
    assert len({version for version, _ in lists}) == len(families)
    assert len(lists) == len(users) * len(families)
    for rows in lists.values():
        rows.sort(key=lambda row: int(str(row["position"])))
        scores = [float(str(row["score"])) for row in rows]
        assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
        assert len({row["artist_id"] for row in rows}) == len(rows)
        assert scores == sorted(scores, reverse=True)
        assert -1 <= min(scores) <= max(scores) <= 1
        assert all(row["reason"] for row in rows)


def test_features_know_nothing_of_the_day_they_serve(service: Service) -> None:
    newest = service.rows(t.USER_FEATURES, f"as_of = date '{AS_OF}'")

    played = [track["played_at"].date() for row in newest for track in row["recent_tracks"] or []]
    assert max(played) <= LAST_DAY


def test_all_families_of_the_day_were_fitted_on_the_same_rows(lived: Lived) -> None:
    roles = lived.status["roles"]

    assert {row["family"] for row in lived.summary["models"]} == FAMILIES | {"popularity"}
    assert roles["champion"]["family"] == "als"
    assert roles["champion"]["data_fingerprint"] == roles["challenger"]["data_fingerprint"]


def test_status_is_read_without_a_library_that_only_builds(lived: Lived) -> None:
    builds = ("alembic", "dagster", "evidently", "ibis", "mlflow", "pandas", "scipy", "xgboost")
    program = f"""
import sys
from firstchair.cli import main
sys.argv = ["firstchair", "status", "--json"]
try:
    main()
except SystemExit as end:
    assert not end.code
print([name for name in {builds} if name in sys.modules], file=sys.stderr)
"""

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=lived.service.environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stderr.splitlines()[-1] == "[]"
    told = json.loads(done.stdout)
    assert told["roles"] == lived.status["roles"]
    assert told["seen_at"] is not None
    states = {check["name"]: check["state"] for check in told["checks"]}
    assert [states[name] for name in ("failed_run", "failed_check", "alias_moved")] == (
        ["passes"] * 3
    )


def test_simulated_data_are_marked_wherever_a_command_shows_figures(lived: Lived) -> None:
    commands = (("status",), ("recommend", "user-000001"))

    for command in commands:
        assert lived.service.ask(*command)["simulated"] is True
        assert "simulated: no figure here is of a real service" in _as_one_line(
            lived.service.run(*command).stdout
        )


def _as_one_line(text: str) -> str:
    return " ".join(text.split())


def test_the_champion_has_an_entry_in_a_ledger_that_verifies(lived: Lived) -> None:
    checked = lived.service.ask("decisions", "--verify")

    promoted = [entry for entry in lived.ledger if entry["decision"] == "promote"]
    assert promoted[0]["champion_after"] == str(lived.status["roles"]["champion"]["version"])
    assert checked["ok"] is True
    assert checked["entries"] == len(lived.ledger)


def test_every_entry_tells_the_state_of_its_checks_and_what_is_missing(lived: Lived) -> None:
    checks = [check for entry in lived.ledger for check in entry["checks"]]

    assert {"not_enough_data"} <= {check["state"] for check in checks}
    assert all(bool(check["missing"]) == (check["state"] == "not_enough_data") for check in checks)
    assert "ndcg_at_10" in {check["name"] for check in checks}


def test_who_was_champion_at_a_time_is_answered(service: Service) -> None:
    before = service.ask("decisions", "--at", "2020-01-01T00:00:00Z")
    now = service.ask("decisions", "--at", "2100-01-01T00:00:00Z")

    assert before["entry"] is None
    assert now["entry"]["champion_after"] is not None


def test_a_known_and_an_unknown_listener_both_get_a_list(service: Service) -> None:
    known = service.ask("recommend", "user-000001", "-k", 5)
    unknown = service.ask("recommend", "nobody-at-all", "-k", 5)

    # As the API answers: the lists are of a day that is long over.
    assert (known["fallback"], unknown["fallback"]) == ("stale", "cold_start")
    assert [len(known["items"]), len(unknown["items"])] == [5, 5]
    assert all(item["name"] and item["reason"] for item in known["items"] + unknown["items"])


def test_engagement_and_churn_are_kept_by_segment(service: Service) -> None:
    engagement = service.rows(t.ENGAGEMENT_DAILY, "segment = 'all' and model_version = 'all'")
    churn = service.rows(t.CHURN, "segment = 'all' and model_version = 'all'")
    segments = {row["segment"] for row in service.rows(t.ENGAGEMENT_DAILY)}

    assert len(engagement) == 30
    assert all(
        row["ctr"] == pytest.approx(row["clicks"] / row["impressions"]) for row in engagement
    )
    assert {row["horizon_days"] for row in churn} == {7, 14}
    assert segments == set(Segment)


def test_the_drift_report_is_a_page_on_disk(lived: Lived) -> None:
    report = lived.summary["drift"]["report"]

    assert "<html" in Path(report).read_text(encoding="utf-8", errors="replace").lower()


def test_simulated_stays_marked(lived: Lived) -> None:
    service = lived.service

    assert all(row["simulated"] for row in service.rows(t.EVENTS))
    assert all(row["simulated"] for row in service.rows(t.ENGAGEMENT_DAILY))
    assert lived.summary["simulated"] is True


def test_no_account_key_or_address_is_anywhere_in_what_we_keep(service: Service) -> None:
    kept = [*(service.home / "lake").rglob("*"), *(service.home / "mlartifacts").rglob("*")]

    found = [
        path
        for path in kept
        if path.is_file() and (b"user-0" in path.read_bytes() or b"@example" in path.read_bytes())
    ]
    assert found == []


def test_a_second_run_changes_no_table(lived: Lived) -> None:
    before = lived.service.contents()

    lived.service.run("run")

    assert different(before, lived.service.contents()) == []
    assert lived.service.ask("decisions") == lived.ledger


def test_a_day_outside_the_data_is_refused_in_two_lines(service: Service) -> None:
    refused = service.run("run", "--to", "2031-01-01", code=1)

    assert refused.stdout == ""
    assert "Traceback" not in refused.stderr
    assert "2026-01-01 to 2026-01-30" in refused.stderr


def test_bad_usage_exits_with_two(service: Service) -> None:
    service.run("simulate", "--users", "many", code=2)

"""A run that is killed again and again, and a day on which nothing happened: both end well."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from firstchair.lake import tables as t
from firstchair.publication import serves
from firstchair.settings import Settings
from firstchair.world import user_id
from tests.faults.conftest import DAYS, WORLD
from tests.service import Service, different, simulated

QUIET_DAY = date(2026, 1, DAYS + 1)
QUIET_AS_OF = QUIET_DAY + timedelta(days=1)
# Of a clock that is years off.
STRAY_DAY = date(2003, 5, 1)


def drop_logins(service: Service, day: date, next_of: dict[str, int]) -> None:
    """An object with one login of a day from each source, beside those that the world wrote."""
    logins = [
        {
            "event_id": f"quiet-{day}-{source}",
            "event_type": "login",
            "occurred_at": f"{day}T12:00:00Z",
            "user_id": user_id(1),
            "source": source,
            "source_seq": number,
        }
        for source, number in next_of.items()
    ]
    landing = service.home / "landing" / "events"
    (landing / f"quiet-{day}.jsonl").write_text("\n".join(map(json.dumps, logins)))


def test_a_run_killed_again_and_again_ends_in_the_same_tables(
    whole: Service, new_home: Callable[[str], Path]
) -> None:
    killed = simulated(new_home("killed"), WORLD)

    for asset in ("landed_events", "silver_events", "xgboost_model", "recommendations"):
        killed.kill_at(asset, "run")
    killed.run("run")

    assert different(whole.contents(), killed.contents()) == []
    filled = (t.EVENTS, t.QUARANTINE_EVENTS, t.RECOMMENDATIONS, t.OFFLINE_EVIDENCE, t.CHURN)
    for table in filled:
        assert whole.lake.count(table) > 0


def test_on_a_day_without_any_new_pair_the_champion_stays_and_everybody_has_a_list(
    whole: Service,
) -> None:
    """The test days of the split are the quiet day alone, so nobody is tested."""
    days = whole.lake.partitions(t.EVENTS)
    # A source that is silent would put every decision off; of `legacy` nothing was accepted.
    sent = sorted((row["source_seq"], row["source"]) for row in whole.rows(t.EVENTS))
    drop_logins(whole, QUIET_DAY, {source: number + 1 for number, source in sent} | {"legacy": 0})
    drop_logins(whole, STRAY_DAY, {"stray": 0})

    whole.json("run")

    (stray,) = whole.rows(t.QUARANTINE_EVENTS, f"event_date = date '{STRAY_DAY}'")
    assert stray["reason"] == "out_of_range"
    assert whole.lake.partitions(t.EVENTS) == [*days, QUIET_DAY]
    entries = whole.ask("decisions")
    users = whole.lake.count(t.USERS)
    assert not whole.lake.count(t.OFFLINE_EVIDENCE, f"as_of = date '{QUIET_AS_OF}'")
    assert len({entry["champion_after"] for entry in entries}) == 1
    quiet = [entry for entry in entries if entry["as_of"] == str(QUIET_AS_OF)]
    assert quiet
    assert {entry["decision"] for entry in quiet} == {"hold"}
    assert all("too_few_users" in entry["reason_codes"] for entry in quiet)
    listed = whole.rows(t.RECOMMENDATIONS, f"as_of = date '{QUIET_AS_OF}'")
    assert len({row["user_key"] for row in listed}) == users
    served = serves(Settings(home=whole.home).published)
    assert served is not None
    assert (served.as_of, served.champion) == (QUIET_AS_OF, entries[0]["champion_after"])

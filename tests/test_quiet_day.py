"""A day without any new pair: the run succeeds, the champion stays, everybody has a list."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from firstchair.lake import tables as t
from firstchair.serving import serves
from firstchair.settings import Settings
from firstchair.world import user_id
from tests.service import Service

# The history is so short that the test days of the split are its last day alone.
DAYS = 4
LAST_DAY = date(2026, 1, DAYS)
QUIET_DAY = LAST_DAY + timedelta(days=1)
QUIET_AS_OF = QUIET_DAY + timedelta(days=1)
# Of a clock that is years off.
STRAY_DAY = date(2003, 5, 1)


def drop_login(service: Service, day: date) -> None:
    """An object with a single login of a day, beside those that the world wrote."""
    landing = service.home / "landing" / "events"
    login = {
        "event_id": f"quiet-{day}",
        "event_type": "login",
        "occurred_at": f"{day}T12:00:00Z",
        "user_id": user_id(1),
        "source": f"quiet-{day}",
        "source_seq": 0,
    }
    (landing / f"quiet-{day}.json").write_text(json.dumps(login))


def test_a_day_with_a_single_login_is_lived_through(new_home: Callable[[str], Path]) -> None:
    service = Service(new_home("quiet-day"))
    world = ("--users", 60, "--artists", 40, "--days", DAYS, "--seed", 3, "--start", "2026-01-01")
    service.json("simulate", *world)
    drop_login(service, QUIET_DAY)
    drop_login(service, STRAY_DAY)

    service.json("run", "--from", LAST_DAY)

    (stray,) = service.rows(t.QUARANTINE_EVENTS, f"event_date = date '{STRAY_DAY}'")
    assert stray["reason"] == "out_of_range"
    assert service.lake.partitions(t.EVENTS) == [date(2026, 1, 1) + timedelta(days=n) for n in range(DAYS + 1)]
    entries = service.ask("decisions")
    users = service.lake.count(t.USERS)
    assert not service.lake.count(t.OFFLINE_EVIDENCE, f"as_of = date '{QUIET_AS_OF}'")
    assert len({entry["champion_after"] for entry in entries}) == 1
    quiet = [entry for entry in entries if entry["as_of"] == str(QUIET_AS_OF)]
    assert quiet
    assert {entry["decision"] for entry in quiet} == {"hold"}
    assert all("too_few_users" in entry["reason_codes"] for entry in quiet)
    listed = service.rows(t.RECOMMENDATIONS, f"as_of = date '{QUIET_AS_OF}'")
    assert len({row["user_key"] for row in listed}) == users
    served = serves(Settings(home=service.home).published)
    assert served is not None
    assert (served.as_of, served.champion) == (QUIET_AS_OF, entries[0]["champion_after"])

"""What a stage would find, kept by the decision runs before one begins."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.promotion import LiveRules, newest_plan, replay_all
from firstchair.promotion.audition import Effect
from firstchair.promotion.stage_planning import plan_stage
from tests.firstchair.promotion.conftest import AS_OF, HOLDOUT_SHARE, SALT, Audition
from tests.firstchair.promotion.test_live import Stand

USERS = 1_500


def lived(lake: Lake, until: date) -> None:
    """Users who were shown lists in the 28 days before a day."""
    rng = np.random.default_rng(3)
    users = [
        {**dict.fromkeys(t.USERS.schema.names), "user_key": f"{n:032x}",
         "created_at": datetime(2025, 1, 1, tzinfo=UTC)} for n in range(USERS)
    ]  # fmt: skip
    lake.overwrite(t.USERS, pa.Table.from_pylist(users, schema=t.USERS.schema))
    blank = dict.fromkeys(t.EVENTS.schema.names)
    events: list[dict[str, Any]] = []
    for number, back in zip(*np.nonzero(rng.random((USERS, 28)) < 0.2), strict=True):
        on = until - timedelta(days=int(back) + 1)
        shown = {"user_key": f"{number:032x}", "event_date": on, "slate_id": f"{number} {on}",
                 "artist_id": "a",
                 "occurred_at": datetime(on.year, on.month, on.day, 12, tzinfo=UTC)}  # fmt: skip
        kinds = ("impression", "click") if rng.random() < 0.3 else ("impression",)
        events += [
            blank | shown | {"event_id": f"{kind} {number} {on}", "event_type": kind}
            for kind in kinds
        ]
    lake.append(t.EVENTS, pa.Table.from_pylist(events, schema=t.EVENTS.schema))


def test_a_day_without_a_stage_is_planned_and_none_with_one(
    audition: Callable[..., Audition],
) -> None:
    a = audition()
    lake = a.lake
    lived(lake, AS_OF)

    stand = Stand.begun(a)
    plan = newest_plan(lake)
    stand.live(Effect(0.0), 1)
    stand.decide(1)

    assert plan is not None and plan == newest_plan(lake)
    assert plan.as_of == AS_OF
    assert (plan.present.stage_max_days, plan.present.stage_success_users) == (6, 500)
    assert {row.stage_max_days for row in plan.others} == {35, 56, 84}
    replayed = replay_all(lake, a.registry, a.ledger)
    assert replayed.reproduced == replayed.entries > 1


def test_a_plan_says_what_a_stage_finds_and_what_it_lacks(lake: Lake) -> None:
    lived(lake, AS_OF)

    plan_stage(lake, as_of=AS_OF, salt=SALT, holdout_share=HOLDOUT_SHARE, rules=LiveRules())
    plan = newest_plan(lake)

    assert plan is not None
    present = plan.present
    assert 1_450 < present.users < USERS
    effect = f"an effect of +{100 * present.detectable:.0f} % on clicks in 80 % of cases"
    assert f"With {present.users:,} users a stage of 35 days finds {effect}" in plan.sentence
    assert (
        f"about {present.arm_users:,} users who see a list, and stage_success_users asks for 1,000"
        in plan.sentence
    )
    assert not present.decides
    assert "more users" in plan.advice
    assert plan.others[0].changes(present) == ("stage_success_users = 600",)
    decisive = replace(plan.others[-1], promoted_10=0.8)
    assert "marked" in replace(plan, others=(decisive,)).advice


def test_a_day_planned_again_has_one_plan(lake: Lake) -> None:
    lived(lake, AS_OF)

    for rules in (LiveRules(), LiveRules(max_days=40)):
        plan_stage(lake, as_of=AS_OF, salt=SALT, holdout_share=HOLDOUT_SHARE, rules=rules)

    plan = newest_plan(lake)
    assert plan is not None and plan.present.stage_max_days == 40
    assert lake.count(t.STAGE_PLAN, "place = 0") == 1

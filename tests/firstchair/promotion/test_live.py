"""A stage with traffic from first day to end, on evidence of known truth, by the real ledger."""

import copy
import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pyarrow as pa
import pytest

from firstchair.errors import LedgerError
from firstchair.lake import tables as t
from firstchair.promotion import (
    Deciding,
    ManualDecision,
    Phase,
    Stage,
    decide,
    promote_by_hand,
    replay,
    roll_back_by_hand,
    spans,
    undecided,
)
from firstchair.promotion.audition import Effect
from firstchair.promotion.experiment import as_evidence
from firstchair.promotion.experiment import decide as decide_on
from firstchair.promotion.exposure import assigned_arms
from firstchair.promotion.rules import LiveRules
from tests.firstchair.promotion.conftest import AS_OF, HOLDOUT_SHARE, NOW, SALT, Audition, Copies
from tests.firstchair.promotion.experiment.evidence_tables import (
    FIRST_DAY,
    evidence_of,
    with_bad_day,
)

Make = Callable[..., Audition]
# Three steps of a day or a few: what is shown here is the way through them.
LIVE = LiveRules(
    min_days=4, max_days=6, success_days=3, segment_days=3, ramp_days=1, ramp_days_small=1,
    success_users=500, probation_min_days=4, listen_margin=0.10, active_margin=0.10,
)  # fmt: skip
USERS = 6_000
# Number of the first day at 50 %, where each step of the ramp takes a day.
AT_HALF = 2


def day(number: int) -> date:
    return AS_OF + timedelta(days=number)


class Stand:
    """An audition in canary from `AS_OF` on, with evidence put into the lake by the test."""

    def __init__(self, a: Audition) -> None:
        self.a = a
        self.als, self.xgboost = a.number("als"), a.number("xgboost")

    @classmethod
    def begun(cls, a: Audition) -> "Stand":
        """The first day decided: ALS serves, and XGBoost goes into canary."""
        a.enter(xgboost=0.24)
        stand = cls(a)
        stand.decide(0)
        return stand

    def copied(self, copies: Copies) -> "Stand":
        """A copy that goes on by itself."""
        found = copy.copy(self)
        found.a = copies(self.a)
        return found

    @property
    def phase(self) -> Phase | None:
        last = self.a.ledger.last()
        return None if last is None else last.phase

    def decide(self, number: int, *, wanted_effect: float | None = None) -> Deciding:
        a = self.a
        rules = replace(a.rules, live=replace(LIVE, wanted_effect=wanted_effect))
        return decide(
            a.lake,
            a.registry,
            a.ledger,
            as_of=day(number),
            now=NOW + timedelta(days=number),
            rules=rules,
            salt=SALT,
            holdout_share=HOLDOUT_SHARE,
        )

    def live(self, effect: Effect, days: int, *, seed: int = 5) -> None:
        """Evidence of the stage under way for so many days, in shares that the stage plans."""
        phase = self.phase
        assert phase is not None
        rows = evidence_of(effect, users=USERS, days=days, seed=seed)
        keys = [int(key, 16) for key in rows.column("user_key").to_pylist()]
        # Halves become the planned shares by leaving users of one arm out, every so many.
        odds = phase.share / (1 - phase.share)
        keep = {"challenger": min(1.0, odds), "champion": min(1.0, 1 / odds)}
        arms = rows.column("arm").to_pylist()
        rows = rows.filter(
            [key * 0.6180339887 % 1 < keep[arm] for key, arm in zip(keys, arms, strict=True)]
        )
        moved = [when - FIRST_DAY + phase.first_day for when in rows.column("day").to_pylist()]
        extra = {
            "stage": str(phase.stage),
            "share": phase.share,
            "champion_version": phase.control,
            "challenger_version": phase.treatment,
        }
        rows = rows.set_column(0, "day", pa.array(moved, pa.date32()))
        for name, value in extra.items():
            rows = rows.append_column(name, pa.array([value] * rows.num_rows))
        # Panels do not know small artists.
        rows = rows.append_column("tail_impressions", pa.nulls(rows.num_rows, pa.int64()))
        rows = in_their_arms(rows, phase)
        rows = rows.select(t.EVIDENCE.schema.names)
        casted = [rows.column(f.name).cast(f.type, safe=False) for f in t.EVIDENCE.schema]
        table = pa.table(casted, schema=t.EVIDENCE.schema)
        self.a.lake.replace_range(
            t.EVIDENCE, table, phase.first_day, phase.first_day + timedelta(days=days - 1)
        )

    def spoil(self, number: int) -> date:
        """Put in a day of absurd clicks from bad records; later days of the stage move by one."""
        assert self.phase is not None
        lake, first = self.a.lake, self.phase.first_day
        spoilt = with_bad_day(lake.read(t.EVIDENCE, f"day >= date '{first}'"), number)
        lake.replace_range(t.EVIDENCE, spoilt, first, max(spoilt.column("day").to_pylist()))
        told = {"event_date": first + timedelta(days=number), "measure": "refused", "blocks": True}
        row = dict.fromkeys(t.DATA_QUALITY.schema.names) | told
        table = pa.Table.from_pylist([row], schema=t.DATA_QUALITY.schema)
        lake.replace_partition(t.DATA_QUALITY, table, first + timedelta(days=number))
        return first + timedelta(days=number)

    def climb(self) -> int:
        """Through both ramp steps; the number of the first day at 50 %."""
        for number in range(1, AT_HALF + 1):
            self.live(Effect(), 1)
            self.decide(number)
        return AT_HALF


def in_their_arms(rows: pa.Table, phase: Phase) -> pa.Table:
    """The same rows under pseudonyms that the phase's salt assigns to the arms they stand in."""
    users = dict(
        zip(rows.column("user_key").to_pylist(), rows.column("arm").to_pylist(), strict=True)
    )
    wanted = Counter(users.values())
    free: dict[str | None, list[str]] = {arm: [] for arm in wanted}
    number = 0
    while any(len(free[arm]) < count for arm, count in wanted.items()):
        keys = [hashlib.md5(b"%d" % n).hexdigest() for n in range(number, number + 10_000)]
        arms = assigned_arms(phase, keys, salt=SALT, holdout_share=HOLDOUT_SHARE)
        for key, arm in zip(keys, arms, strict=True):
            free.setdefault(arm, []).append(key)
        number += 10_000
    renamed = {user: free[arm].pop() for user, arm in users.items()}
    keys = pa.array([renamed[user] for user in rows.column("user_key").to_pylist()])
    return rows.set_column(rows.column_names.index("user_key"), "user_key", keys)


def test_on_its_first_morning_a_stage_is_not_decided(stand: Stand) -> None:
    entries = stand.a.ledger.entries()

    stand.decide(0)

    assert stand.a.ledger.entries() == entries
    assert undecided(stand.a.lake, stand.a.registry, stand.a.ledger) == []


def shown_to_the_treatment(stand: Stand, version: str) -> None:
    """An impression a user of the challenger's arm, of a list by this version."""
    lake = stand.a.lake
    users = lake.read(t.EVIDENCE, "arm = 'challenger'").column("user_key").unique().to_pylist()
    row = dict.fromkeys(t.EVENTS.schema.names) | {
        "event_type": "impression",
        "event_date": day(0),
        "model_version": version,
    }
    rows = [row | {"event_id": f"{version}-{user}", "user_key": user} for user in users]
    lake.append(t.EVENTS, pa.Table.from_pylist(rows, schema=t.EVENTS.schema))


def test_a_step_of_the_ramp_in_which_the_challenger_was_not_served_is_not_over(
    stand: Stand,
) -> None:
    a = stand.a
    stand.live(Effect(), 2)
    shown_to_the_treatment(stand, stand.als)

    (unseen,) = stand.decide(1).entries
    shown_to_the_treatment(stand, stand.xgboost)
    (clear,) = stand.decide(2).entries

    assert (unseen.decision, unseen.reason_codes) == ("hold", ("data_quality",))
    assert "not been tested" in unseen.reasons[0]
    assert unseen.phase is not None and (unseen.phase.share, unseen.phase.first_day) == (
        0.05,
        day(0),
    )
    assert clear.reason_codes == ("ramp_clear",)
    assert [replay(a.lake, a.registry, a.ledger, one.decision_id).outcome for one in
            (unseen, clear)] == ["reproduced", "reproduced"]  # fmt: skip


def test_a_step_of_the_ramp_in_which_the_challenger_is_never_served_ends_with_its_days(
    stand: Stand,
) -> None:
    a = stand.a
    stand.live(Effect(), LIVE.max_days)
    shown_to_the_treatment(stand, stand.als)

    (waits,) = stand.decide(LIVE.max_days - 1).entries
    ended = stand.decide(LIVE.max_days).entries[-1]

    assert waits.phase is not None
    assert (ended.reason_codes, ended.phase) == (("data_quality", "horizon_reached"), None)
    assert (ended.stage_after, ended.champion_after) == ("retired", stand.als)
    assert [replay(a.lake, a.registry, a.ledger, one.decision_id).outcome for one in
            (waits, ended)] == ["reproduced", "reproduced"]  # fmt: skip


def test_the_ramp_is_climbed_step_by_step_each_with_a_clock_of_its_own(climbed: Stand) -> None:
    stand = climbed
    phases = [span.phase for span in spans(stand.a.ledger)]
    assert [(phase.share, phase.first_day) for phase in phases] == [
        (0.05, day(0)),
        (0.2, day(1)),
        (0.5, day(2)),
    ]
    assert [span.last_day for span in spans(stand.a.ledger)] == [day(0), day(1), None]
    assert len({phase.salt for phase in phases}) == 1
    assert stand.a.registry.version(stand.xgboost).stage == Stage.CANARY


def test_what_is_better_takes_the_chair_on_probation_and_is_confirmed(climbed: Stand) -> None:
    stand, first = climbed, AT_HALF
    stand.live(Effect(0.25), 4)

    seated = stand.decide(first + 4)
    assert (seated.entries[0].decision, seated.entries[0].stage_after) == ("promote", "probation")
    assert "shortened_stage" in seated.entries[0].reason_codes
    assert stand.a.aliases() == {
        "champion": stand.xgboost,
        "challenger": stand.als,
        "previous": stand.als,
    }
    assert stand.phase is not None
    assert (stand.phase.stage, stand.phase.share) == (Stage.PROBATION, 0.5)

    stand.live(Effect(0.10), 4)
    confirmed = stand.decide(first + 8)

    assert confirmed.entries[0].reason_codes == ("confirmed",)
    assert stand.phase is None
    assert stand.a.registry.version(stand.xgboost).stage == Stage.CHAMPION
    assert stand.a.registry.version(stand.als).stage == Stage.RETIRED


def test_what_harms_is_rejected_and_the_champion_stays(climbed: Stand) -> None:
    stand, first = climbed, AT_HALF
    stand.live(Effect(-0.35), 3)

    outcome = stand.decide(first + 3)

    assert (outcome.entries[0].decision, stand.phase) == ("reject", None)
    assert stand.a.aliases()["champion"] == stand.als
    assert stand.a.registry.version(stand.xgboost).stage == Stage.REJECTED


def test_what_is_never_proven_ends_at_the_horizon(climbed: Stand) -> None:
    stand, first = climbed, AT_HALF
    stand.live(Effect(), 6, seed=9)

    outcome = stand.decide(first + 6)

    assert "horizon_reached" in outcome.entries[0].reason_codes
    assert stand.phase is None
    assert stand.a.registry.version(stand.xgboost).stage == Stage.RETIRED


def test_a_champion_that_turns_out_worse_is_rolled_back_by_itself(probation: Stand) -> None:
    stand, first = probation, AT_HALF
    stand.live(Effect(-0.35), 4)

    outcome = stand.decide(first + 8)

    assert (outcome.entries[0].decision, outcome.entries[0].stage_after) == (
        "roll_back",
        "rolled_back",
    )
    assert stand.a.aliases() == {
        "champion": stand.als,
        "challenger": stand.xgboost,
        "previous": None,
    }
    assert stand.a.registry.version(stand.als).stage == Stage.CHAMPION


def test_deciding_a_day_again_adds_nothing_and_later_evidence_adds_an_entry(climbed: Stand) -> None:
    stand, first = climbed, AT_HALF
    stand.live(Effect(), 2, seed=9)
    stand.decide(first + 2)
    entries = stand.a.ledger.entries()

    stand.decide(first + 2)
    assert stand.a.ledger.entries() == entries

    stand.live(Effect(0.01), 2, seed=9)
    stand.decide(first + 2)
    assert len(stand.a.ledger.entries()) == len(entries) + 1


def test_a_day_of_bad_records_is_none_of_the_stages_days_and_the_entry_names_it(
    climbed: Stand,
) -> None:
    stand, first = climbed, AT_HALF
    stand.live(Effect(0.25), 4)
    rows = stand.a.lake.read(t.EVIDENCE, f"day >= date '{day(first)}'")
    by_itself = decide_on(
        as_evidence(rows.sort_by([("day", "ascending"), ("user_key", "ascending")])),
        LIVE,
    )
    spoilt = stand.spoil(2)

    a_day_short = stand.decide(first + 4).entries[0]
    whole = stand.decide(first + 5).entries[0]

    assert (a_day_short.evidence["days"], a_day_short.reason_codes) == (3, ("too_early",))
    assert (whole.evidence["days"], whole.decision) == (4, "promote")
    effects = [(m["relative_difference"], m["se"]) for m in whole.evidence["metrics"]]
    assert effects == [pytest.approx((m.relative_difference, m.se)) for m in by_itself.metrics]
    assert whole.evidence["days_left_out"] == [spoilt.isoformat()]
    assert str(spoilt) in next(
        c["detail"] for c in whole.evidence["checks"] if c["name"] == "days_left_out"
    )


def test_a_ramp_step_counts_good_days_alone(stand: Stand) -> None:
    stand.live(Effect(), 1)
    stand.spoil(0)

    waiting = stand.decide(1)
    after_a_good_day = stand.decide(2).entries[0]

    assert waiting.decision == "none: the day's records are bad"
    assert (after_a_good_day.evidence["days"], after_a_good_day.reason_codes) == (
        1,
        ("ramp_clear",),
    )


def test_a_challenger_who_could_not_be_measured_stays_at_the_last_step_of_the_ramp(
    stand: Stand,
) -> None:
    for number in (1, 2):
        stand.live(Effect(), 1)
        held = stand.decide(number, wanted_effect=0.001).entries[0]

    assert (held.decision, held.reason_codes, held.stage_after) == (
        "hold",
        ("underpowered",),
        "canary",
    )
    assert stand.phase is not None
    assert stand.phase.share == 0.2
    assert held.evidence["wanted_effect"] == 0.001
    assert held.evidence["planned_detectable_effect"] > 0.001

    stand.live(Effect(), 2)
    stand.decide(3, wanted_effect=0.5)
    assert stand.phase is not None
    assert stand.phase.share == 0.5


def test_an_entry_holds_all_that_it_rests_on(stand: Stand) -> None:
    stand.live(Effect(), 1)

    evidence = stand.decide(1).entries[0].evidence

    assert evidence["settings"]["live"]["min_days"] == 4
    assert evidence["phase_before"]["share"] == 0.05
    assert evidence["versions"] == {"champion": stand.als, "challenger": stand.xgboost}
    assert {metric["name"] for metric in evidence["metrics"]} >= {
        "clicks_per_100",
        "listen_through",
        "active_days",
    }
    assert evidence["code_version"]
    assert stand.a.ledger.verify().ok


def test_a_person_promotes_a_version_and_takes_it_back(stand: Stand) -> None:
    a, word = stand.a, ManualDecision("ana", "The label asks for it.", NOW, day(1))

    seated = promote_by_hand(
        a.registry, a.ledger, word, version=a.number("content"), users=USERS, salt="first"
    )
    assert (seated.decision, seated.actor, seated.reasons) == (
        "promote",
        "ana",
        ("The label asks for it.",),
    )
    assert (a.aliases()["champion"], seated.stage_after) == (a.number("content"), "probation")

    back = roll_back_by_hand(a.registry, a.ledger, replace(word, reason="It was a mistake."))

    assert (back.decision, a.aliases()["champion"]) == ("roll_back", stand.als)
    assert a.registry.version(a.number("content")).stage == Stage.ROLLED_BACK
    assert a.ledger.verify().ok


def test_the_champion_is_not_promoted_again_and_without_one_before_none_comes_back(
    stand: Stand,
) -> None:
    a, word = stand.a, ManualDecision("ana", "Because.", NOW, day(1))

    with pytest.raises(LedgerError, match="is the champion already"):
        promote_by_hand(a.registry, a.ledger, word, version=stand.als, users=USERS, salt="first")
    with pytest.raises(LedgerError, match="may come back"):
        roll_back_by_hand(a.registry, a.ledger, word)

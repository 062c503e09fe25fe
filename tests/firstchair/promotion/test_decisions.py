"""A day's decisions: entries first, aliases second; a crash between the two is repaired."""

from collections.abc import Callable
from datetime import timedelta

import pyarrow as pa
import pytest
from mlflow import MlflowClient

from firstchair.errors import EvidenceError, FirstchairError
from firstchair.lake import tables as t
from firstchair.promotion import (
    NAME,
    Phase,
    Registry,
    Stage,
    decisions,
    is_followed,
    out_of_line,
    reconcile_aliases,
    replay_all,
    undecided,
)
from firstchair.promotion.context import REFRESH, DecisionContext, StageTransition
from firstchair.promotion.registry import Version
from tests.firstchair.promotion.conftest import AS_OF, NEXT_DAY, NOW, Audition
from tests.firstchair.promotion.test_live import Stand

Make = Callable[..., Audition]


def test_the_first_day_seats_als_and_puts_xgboost_behind_the_screen(audition: Make) -> None:
    a = audition()
    a.enter()

    outcome = a.decide()

    assert [entry.decision for entry in outcome.entries] == ["hold", "promote"]
    assert a.aliases() == {
        "champion": a.number("als"),
        "challenger": a.number("xgboost"),
        "previous": None,
    }
    assert a.registry.version(a.number("als")).stage == Stage.CHAMPION
    assert a.registry.version(a.number("xgboost")).stage == Stage.SHADOW


def test_a_challenger_that_is_better_on_test_days_goes_into_canary_and_no_further(
    audition: Make,
) -> None:
    a = audition()
    a.enter(xgboost=0.24)

    a.decide()

    entry = a.ledger.entries()[0]
    assert a.aliases() == {
        "champion": a.number("als"),
        "challenger": a.number("xgboost"),
        "previous": None,
    }
    assert (entry.decision, entry.reason_codes) == ("hold", ("shadow_passed", "superior"))
    assert a.registry.version(a.number("xgboost")).stage == Stage.CANARY
    assert entry.phase == Phase(
        Stage.CANARY,
        a.number("xgboost"),
        a.number("als"),
        0.05,
        f"first/{a.number('xgboost')}",
        AS_OF,
        AS_OF,
    )


def test_what_slates_led_to_is_kept_beside_a_decision_and_changes_none(audition: Make) -> None:
    a = audition()
    a.enter(xgboost=0.24)
    a.led_to(als=0.75, xgboost=0.25)

    a.decide()

    entry = a.ledger.entries()[0]
    means = {"champion": 0.75, "challenger": 0.25}
    assert entry.reason_codes == ("shadow_passed", "superior")
    assert entry.evidence["prompted"] == {
        "users": 200,
        **{
            role: dict.fromkeys(("ndcg_at_10", "recall_at_20"), mean)
            for role, mean in means.items()
        },
    }


def test_a_better_challenger_who_remembers_far_more_than_he_finds_is_held_back(
    audition: Make,
) -> None:
    a = audition()
    a.enter(xgboost=0.24)
    a.remember(als=0.40, xgboost=0.90)

    a.decide()

    entry = a.ledger.entries()[0]
    found = entry.evidence["overfit"]
    assert (entry.decision, entry.reason_codes, entry.phase) == ("hold", ("overfit",), None)
    assert a.registry.version(a.number("xgboost")).stage == Stage.SHADOW
    assert found["champion"] == pytest.approx(1 - 0.20 / 0.40, abs=0.02)
    assert found["challenger"] == pytest.approx(1 - 0.24 / 0.90, abs=0.02)
    assert 0.10 < found["lower"] < found["difference"] < found["upper"]


def test_who_loses_no_more_than_the_champion_from_training_to_test_days_goes_into_canary(
    audition: Make,
) -> None:
    a = audition()
    a.enter(xgboost=0.24)
    a.remember(als=0.40, xgboost=0.50)

    a.decide()

    entry = a.ledger.entries()[0]
    assert entry.reason_codes == ("shadow_passed", "superior")
    assert entry.evidence["overfit"]["difference"] < 0.10
    assert {c["name"]: c["passes"] for c in entry.evidence["checks"]}["not_overfit"] is True


@pytest.mark.parametrize(
    ("levels", "first"),
    [
        ({"als": 0.20, "xgboost": 0.24, "blend": 0.26}, "blend"),
        ({"als": 0.20, "xgboost": 0.24, "blend": 0.10}, "xgboost"),
        # Better by too much: a person has to look for a leak.
        ({"als": 0.20, "xgboost": 0.40, "blend": 0.10}, "als"),
        ({"als": 0.20, "xgboost": 0.201, "blend": 0.10}, "als"),
    ],
)
def test_the_first_champion_is_the_best_contender_by_evidence_of_test_days(
    audition: Make, levels: dict[str, float], first: str
) -> None:
    a = audition(contenders="als xgboost blend", first_champion="")
    a.enter(**levels, content=0.29)

    a.decide()

    entry = a.ledger.entries()[-1]
    assert a.aliases()["champion"] == a.number(first)
    assert entry.evidence["compared"] == [a.number(f) for f in ("als", "xgboost", "blend")]
    assert any("blend" in reason for reason in entry.reasons)
    (replayed,) = replay_all(a.lake, a.registry, a.ledger).results[-1:]
    assert replayed.outcome == "reproduced"


def test_every_contender_is_compared_and_the_best_goes_into_canary(audition: Make) -> None:
    a = audition(contenders="als blend item-item")
    a.enter(xgboost=0.28, **{"blend": 0.24, "item-item": 0.26})

    a.decide()

    entries = a.ledger.entries()
    assert [entry.challenger for entry in entries[:2]] == [a.number("item-item"), a.number("blend")]
    assert entries[0].phase is not None
    assert entries[1].phase is None
    assert all("2 families are compared" in " ".join(e.reasons) for e in entries[:2])
    assert a.number("xgboost") not in {entry.challenger for entry in entries}
    contenders = a.rules.offline.contending_families
    assert undecided(a.lake, a.registry, a.ledger, contenders) == []


def test_a_challenger_that_is_worse_is_rejected(audition: Make) -> None:
    a = audition()
    a.enter(xgboost=0.15)

    a.decide()

    assert a.ledger.entries()[0].decision == "reject"
    assert a.registry.version(a.number("xgboost")).stage == Stage.REJECTED
    assert a.aliases()["champion"] == a.number("als")


def test_a_version_fitted_today_has_no_day_to_be_tested_on_and_does_not_take_over(
    after_a_day: Audition,
) -> None:
    a = after_a_day
    a.enter(NEXT_DAY, als=0.30)
    a.decide(NEXT_DAY)

    assert a.aliases()["champion"] == a.number("als", AS_OF)
    assert a.registry.version(a.number("als", NEXT_DAY)).stage == Stage.CANDIDATE


def test_while_an_older_version_serves_a_better_challenger_still_goes_into_canary(
    after_a_day: Audition,
) -> None:
    a = after_a_day
    a.enter(NEXT_DAY, als=0.19, xgboost=0.24)

    a.decide(NEXT_DAY)

    entry = a.ledger.entries()[0]
    assert a.aliases()["champion"] == a.number("als", AS_OF)
    assert entry.reason_codes == ("shadow_passed", "superior")
    assert entry.phase is not None
    assert (entry.phase.control, entry.phase.treatment) == (
        a.number("als", AS_OF),
        a.number("xgboost", NEXT_DAY),
    )
    assert entry.evidence["versions"]["champion"] == a.number("als", AS_OF)


def test_challenger_and_serving_family_must_come_from_the_same_data_of_the_day(
    after_a_day: Audition,
) -> None:
    a = after_a_day
    a.enter(NEXT_DAY, xgboost=0.24, apart="xgboost")

    a.decide(NEXT_DAY)

    assert a.ledger.entries()[0].reason_codes == ("different_fingerprint",)


def test_while_a_stage_with_traffic_is_under_way_both_versions_are_frozen(stand: Stand) -> None:
    a = stand.a
    a.enter(NEXT_DAY, xgboost=0.30)

    a.decide(NEXT_DAY)

    assert a.aliases()["champion"] == a.number("als", AS_OF)
    assert a.aliases()["challenger"] == a.number("xgboost", AS_OF)
    assert a.registry.version(a.number("xgboost", NEXT_DAY)).stage == Stage.CANDIDATE


def test_deciding_again_changes_nothing(stand: Stand) -> None:
    a = stand.a
    entries, aliases = a.ledger.entries(), a.aliases()

    a.decide()

    assert (a.ledger.entries(), a.aliases()) == (entries, aliases)


def test_on_a_day_without_test_users_challengers_are_held(after_a_day: Audition) -> None:
    a = after_a_day
    a.enter_without_test_users(NEXT_DAY)

    assert undecided(a.lake, a.registry, a.ledger) == [NEXT_DAY]
    outcome = a.decide(NEXT_DAY)

    assert outcome.champion == a.number("als")
    assert {(entry.decision, entry.reason_codes) for entry in outcome.entries} == {
        ("hold", ("too_few_users", "not_superior"))
    }
    assert "0 test users; a proof wants 100." in outcome.reasons
    assert undecided(a.lake, a.registry, a.ledger) == []


def test_a_first_champion_is_made_on_a_day_without_test_users(audition: Make) -> None:
    a = audition()
    a.enter_without_test_users()

    outcome = a.decide()

    assert outcome.champion == a.number("als")
    assert outcome.entries[-1].reason_codes == ("first_champion", "not_proven_against_popularity")


def test_a_day_before_the_last_decided_one_is_left_alone(two_days: Audition) -> None:
    a = two_days
    a.enter(AS_OF, xgboost=0.24)
    a.enter(NEXT_DAY)
    a.decide(NEXT_DAY)
    entries = a.ledger.entries()

    outcome = a.decide(AS_OF)

    assert a.ledger.entries() == entries
    assert outcome.decision == "none: a later day is decided already"


def test_days_with_a_version_that_was_deleted_in_mlflow_stop_no_challenge(
    after_a_day: Audition,
) -> None:
    a = after_a_day
    a.enter(NEXT_DAY, xgboost=0.24)
    client = MlflowClient(tracking_uri=a.registry.tracking_uri)
    client.delete_model_version(NAME, a.number("xgboost"))

    outcome = a.decide(NEXT_DAY)

    better = a.number("xgboost", NEXT_DAY)
    assert outcome.challenger == better
    assert a.registry.version(better).stage == Stage.CANARY
    assert replay_all(a.lake, a.registry, a.ledger).different == 0


def test_a_decision_that_was_made_before_moves_no_alias_back(
    after_a_day: Audition, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = after_a_day
    a.enter(NEXT_DAY)
    refit = a.registry.version(a.number("als", NEXT_DAY))

    def held(context: DecisionContext, serving: Version, refit: Version) -> StageTransition:
        return StageTransition(
            kind=REFRESH,
            decision="hold",
            reason_codes=("refresh_not_proven",),
            reasons=("Not proven.",),
            champion_before=serving.version,
            champion_after=serving.version,
            challenger=refit,
            stage=Stage.SHADOW,
            phase=None,
            challenger_after=None,
            data_fingerprint="",
            findings={"metrics": (), "checks": ()},
        )

    monkeypatch.setattr(decisions, "measure_refit", lambda *_, **__: refit)
    monkeypatch.setattr(decisions, "evaluate_refit", held)
    first = a.decide(NEXT_DAY)
    aliases = a.aliases()

    again = a.decide(NEXT_DAY)

    assert (again.entries, a.aliases()) == (first.entries, aliases)
    assert aliases["challenger"] == a.number("xgboost", NEXT_DAY)
    assert is_followed(a.registry, a.ledger)


def test_a_day_built_again_on_other_data_is_decided_again(after_a_day: Audition) -> None:
    a = after_a_day
    a.enter(fingerprint="with late events", xgboost=0.24)

    assert undecided(a.lake, a.registry, a.ledger) == [AS_OF]
    serving = a.aliases()["champion"]
    a.decide()

    assert a.aliases()["champion"] == serving
    assert a.registry.version(a.number("xgboost")).stage == Stage.CANARY
    assert undecided(a.lake, a.registry, a.ledger) == []


@pytest.mark.parametrize("crash_at", range(1, 8))
def test_a_crash_between_entry_and_alias_is_put_right_by_the_next_look(
    audition: Make, monkeypatch: pytest.MonkeyPatch, crash_at: int
) -> None:
    a = audition()
    a.enter(xgboost=0.24)
    calls = 0

    def crashing(name: str) -> Callable[..., None]:
        real = getattr(Registry, name)

        def call(*arguments: object, **named: object) -> None:
            nonlocal calls
            calls += 1
            if calls == crash_at:
                raise KeyboardInterrupt
            real(*arguments, **named)

        return call

    with monkeypatch.context() as broken:
        for name in ("set_alias", "set_stage", "note_followed"):
            broken.setattr(Registry, name, crashing(name))
        with pytest.raises(KeyboardInterrupt):
            a.decide()
    a.decide()

    assert a.aliases() == {
        "champion": a.number("als"),
        "challenger": a.number("xgboost"),
        "previous": None,
    }
    assert [entry.decision for entry in a.ledger.entries()] == ["hold", "promote"]
    assert a.registry.version(a.number("xgboost")).stage == Stage.CANARY
    assert a.registry.version(a.number("als")).stage == Stage.CHAMPION
    assert is_followed(a.registry, a.ledger)


def test_an_alias_moved_behind_our_back_is_put_where_the_ledger_has_it(
    after_a_day: Audition,
) -> None:
    a = after_a_day
    a.registry.set_alias("champion", a.number("random"))

    assert out_of_line(a.registry, a.ledger) == {"champion": a.number("random")}
    moved = reconcile_aliases(a.registry, a.ledger, now=NOW)

    entry = a.ledger.entries()[0]
    assert moved is True
    assert a.aliases()["champion"] == a.number("als")
    assert (entry.reason_codes, entry.decision, entry.actor) == (
        ("alias_moved",),
        "hold",
        "reconciliation",
    )
    assert f"champion to {a.number('random')}" in entry.reasons[0]
    assert reconcile_aliases(a.registry, a.ledger, now=NOW) is False


def test_without_an_entry_no_alias_moves(audition: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    a = audition()
    a.enter()
    monkeypatch.setattr(a.ledger, "url", a.ledger.url.set(database="nowhere"))

    with pytest.raises(FirstchairError):
        a.decide()

    assert a.aliases() == {"champion": None, "challenger": None, "previous": None}


def test_a_day_is_due_when_all_its_families_have_versions_and_evidence(two_days: Audition) -> None:
    a = two_days
    assert undecided(a.lake, a.registry, a.ledger) == []

    a.enter(AS_OF)
    a.enter(NEXT_DAY)
    assert undecided(a.lake, a.registry, a.ledger) == [AS_OF, NEXT_DAY]

    a.decide(AS_OF)
    assert undecided(a.lake, a.registry, a.ledger) == [NEXT_DAY]


def test_a_day_without_versions_says_what_to_materialise(audition: Make) -> None:
    with pytest.raises(EvidenceError) as raised:
        audition().decide(AS_OF - timedelta(days=1))

    assert raised.value.remedy == "Materialise als_model for that day."


def test_a_day_whose_records_are_bad_waits_until_they_are_mended(after_a_day: Audition) -> None:
    a = after_a_day
    a.enter(NEXT_DAY)
    row = dict.fromkeys(t.DATA_QUALITY.schema.names) | {
        "event_date": AS_OF,
        "measure": "refused",
        "blocks": True,
    }
    a.lake.replace_partition(
        t.DATA_QUALITY, pa.Table.from_pylist([row], schema=t.DATA_QUALITY.schema), AS_OF
    )

    waiting, due = a.decide(NEXT_DAY), undecided(a.lake, a.registry, a.ledger)
    a.lake.delete(t.DATA_QUALITY, "blocks")
    mended = a.decide(NEXT_DAY)

    assert (waiting.entries, waiting.decision, due) == ((), "none: the day's records are bad", [])
    assert waiting.champion == a.number("als")
    assert len(mended.entries) > 0

"""A version that was rolled back or rejected serves again only by the gate or a probation."""

from dataclasses import fields, replace
from datetime import date, timedelta

import pytest
from mlflow import MlflowClient

from firstchair.errors import LedgerError, ModelError
from firstchair.promotion import (
    NAME,
    ManualDecision,
    Phase,
    Stage,
    explained,
    is_followed,
    promote_by_hand,
    replay,
    restore_aliases,
    roll_back_by_hand,
    rollback_target,
    spans,
    undecided,
)
from firstchair.promotion.audition import Effect
from firstchair.promotion.ledger import Decision, Entry
from firstchair.promotion.refits import measure_refit
from firstchair.promotion.stages import begin
from tests.firstchair.promotion.conftest import AS_OF, NOW, SALT, Audition
from tests.firstchair.promotion.test_live import AT_HALF, USERS, Stand, day

MANUAL = ManualDecision("ana", "The label asks for it.", NOW, AS_OF)


def promoted(a: Audition, family: str) -> Entry:
    last = a.ledger.last()
    manual = replace(MANUAL, reason=f"{family} after {last and last.sequence}")
    return promote_by_hand(
        a.registry, a.ledger, manual, version=a.number(family), users=USERS, salt=SALT
    )


def rolled_back(a: Audition) -> Entry:
    last = a.ledger.last()
    manual = replace(MANUAL, reason=f"back after {last and last.sequence}")
    return roll_back_by_hand(a.registry, a.ledger, manual)


def stages(a: Audition) -> list[tuple[str, str]]:
    """The stage of every version by the ledger, and its tag in MLflow."""
    return [(a.ledger.stage(version.version), version.stage) for version in a.registry.versions()]


def test_a_second_rollback_does_not_bring_the_removed_version_back(stand: Stand) -> None:
    a = stand.a
    promoted(a, "content")
    rolled_back(a)
    entries = a.ledger.entries()

    with pytest.raises(LedgerError, match=f"{a.number('content')} was rolled back"):
        rolled_back(a)

    assert a.ledger.entries() == entries
    assert a.aliases()["champion"] == stand.als


def test_a_version_that_had_users_before_gets_arms_that_it_never_had(stand: Stand) -> None:
    a, canary = stand.a, stand.phase
    assert canary is not None

    def promoted_on(on: date) -> Phase | None:
        manual = replace(MANUAL, as_of=on, reason=f"Promoted on {on}.")
        return promote_by_hand(
            a.registry, a.ledger, manual, version=stand.xgboost, users=USERS, salt=SALT
        ).phase

    kept = promoted_on(day(5))
    rolled_back(a)
    new = promoted_on(day(9))

    assert kept is not None and new is not None
    assert (kept.salt, kept.assigned_on, kept.first_day) == (canary.salt, day(0), day(5))
    assert new.salt != canary.salt
    assert new.assigned_on == new.first_day == day(9)


def test_a_decision_about_another_version_ends_a_canary(stand: Stand) -> None:
    a, before = stand.a, len(stand.a.ledger.entries())

    promoted(a, "content")

    newest, over = a.ledger.entries()[:-before]
    assert (over.challenger, over.stage_before, over.stage_after) == (
        stand.xgboost, "canary", "retired",
    )  # fmt: skip
    assert (over.champion_after, over.phase, over.actor) == (stand.als, None, "ana")
    assert f"The canary of XGBoost {stand.xgboost} is over" in explained(over).sentence
    assert newest.phase is not None and newest.phase.control == stand.als
    assert {ours for ours, _ in stages(a)} >= {"retired"}
    assert a.ledger.stage(stand.xgboost) == a.registry.version(stand.xgboost).stage == "retired"
    assert all(ours == tag for ours, tag in stages(a))


def confirmed(stand: Stand) -> Audition:
    """XGBoost after its probation."""
    stand.live(Effect(0.10), 4)
    stand.decide(AT_HALF + 8)
    assert stand.a.ledger.stage(stand.xgboost) == "champion"
    return stand.a


def test_a_rollback_by_hand_ends_a_canary(probation: Stand) -> None:
    a = confirmed(probation)
    last, content = a.ledger.last(), a.number("content")
    assert last is not None
    canary = begin(challenger=content, champion=probation.xgboost, salt=SALT, on=day(20))
    values = {field.name: getattr(last, field.name) for field in fields(Decision)}
    values |= {"decision_id": "canary", "challenger": content, "champion_before": probation.xgboost}
    values |= {"stage_before": "shadow", "stage_after": "canary"}
    values["evidence"] = {"kind": "challenge", "phase": canary.record()}
    a.ledger.append(Decision(**values))

    newest = rolled_back(a)

    over = a.ledger.entries()[1]
    assert (newest.champion_after, newest.phase) == (probation.als, None)
    assert (over.challenger, over.stage_after, over.phase) == (content, "retired", None)
    assert a.ledger.stage(content) == a.registry.version(content).stage == "retired"


def test_a_control_group_has_a_version_that_is_there(probation: Stand) -> None:
    a = confirmed(probation)
    deleted(a, probation.xgboost)

    entry = promoted(a, "content")

    assert entry.phase is not None and entry.phase.control == probation.als


def test_a_champion_that_was_deleted_in_mlflow_gives_way_to_a_promotion_by_hand(
    stand: Stand,
) -> None:
    a = stand.a
    client = MlflowClient(tracking_uri=a.registry.tracking_uri)
    client.delete_model_version(NAME, stand.als)
    for _ in range(2):
        with pytest.raises(ModelError) as fault:
            restore_aliases(a.registry, a.ledger, now=NOW)
        assert "firstchair promote" in fault.value.remedy

    entry = promoted(a, "content")

    assert entry.champion_after == a.number("content") == a.aliases()["champion"]
    assert a.aliases()["previous"] is None
    assert not restore_aliases(a.registry, a.ledger, now=NOW)


def deleted(a: Audition, version: str) -> None:
    MlflowClient(tracking_uri=a.registry.tracking_uri).delete_model_version(NAME, version)


def test_a_canary_whose_version_was_deleted_in_mlflow_ends(stand: Stand) -> None:
    a, before = stand.a, stand.a.ledger.entries()
    deleted(a, stand.xgboost)
    assert not is_followed(a.registry, a.ledger)

    changed = [restore_aliases(a.registry, a.ledger, now=NOW) for _ in range(3)]

    ended, *others = a.ledger.entries()
    assert (changed, others) == ([True, False, False], before)
    assert (ended.decision, ended.reason_codes) == ("hold", ("version_deleted",))
    assert (ended.stage_before, ended.stage_after, ended.phase) == ("canary", "retired", None)
    assert ended.champion_after == stand.als
    assert a.aliases() == {"champion": stand.als, "challenger": None, "previous": None}
    title = f"The canary of XGBoost {stand.xgboost} is over: it was deleted in MLflow."
    assert explained(ended).sentence == f"{title} ALS {stand.als} stays champion."
    assert "may compete" in ended.reasons[0]
    assert replay(a.lake, a.registry, a.ledger, ended.decision_id).outcome == "not_computed"


def test_evidence_for_a_version_that_was_deleted_promotes_nobody(climbed: Stand) -> None:
    stand, first = climbed, AT_HALF
    stand.live(Effect(0.25), 4)
    deleted(stand.a, stand.xgboost)

    outcome = stand.decide(first)

    assert (outcome.champion, stand.phase) == (stand.als, None)
    assert outcome.entries[0].reason_codes == ("version_deleted",)
    assert spans(stand.a.ledger)[-1].last_day is not None


def test_a_probation_goes_on_where_the_version_before_was_deleted(probation: Stand) -> None:
    stand, a, first = probation, probation.a, AT_HALF
    stand.live(Effect(0.10), 4)
    deleted(a, stand.als)

    confirmed = stand.decide(first + 8).entries[0]

    assert confirmed.reason_codes == ("confirmed",)
    assert confirmed.evidence["families"] == {"champion": "als", "challenger": "xgboost"}
    again = replay(a.lake, a.registry, a.ledger, confirmed.decision_id)
    assert again.outcome == "reproduced"


def test_a_version_that_was_deleted_in_mlflow_is_no_place_to_roll_back_to(stand: Stand) -> None:
    a = stand.a
    promoted(a, "content")
    deleted(a, stand.als)
    entries = a.ledger.entries()

    with pytest.raises(LedgerError, match=f"{stand.als} was deleted in MLflow"):
        rolled_back(a)

    assert a.ledger.entries() == entries
    assert a.aliases()["champion"] == a.number("content")
    assert not restore_aliases(a.registry, a.ledger, now=NOW)


def test_harm_in_probation_brings_back_an_earlier_version_where_the_one_before_was_deleted(
    probation: Stand,
) -> None:
    stand, a = probation, probation.a
    stand.live(Effect(0.10), 4)
    stand.decide(AT_HALF + 8)
    newest = promoted(a, "content")
    assert newest.phase is not None and newest.phase.control == stand.xgboost
    stand.live(Effect(-0.35), 4)
    deleted(a, stand.xgboost)

    decided = stand.decide(AT_HALF + 12).entries[0]

    assert (decided.decision, decided.champion_after) == ("roll_back", stand.als)
    assert decided.reason_codes[-1] == "version_deleted"
    assert a.aliases()["champion"] == stand.als
    again = replay(a.lake, a.registry, a.ledger, decided.decision_id)
    assert again.outcome == "reproduced", again.detail


def test_harm_in_probation_is_told_where_no_version_is_left_to_bring_back(
    probation: Stand,
) -> None:
    stand, a = probation, probation.a
    stand.live(Effect(-0.35), 4)
    deleted(a, stand.als)

    decided = stand.decide(AT_HALF + 8).entries[0]

    assert (decided.decision, decided.champion_after) == ("hold", stand.xgboost)
    assert decided.reason_codes[0] == "worse_since_promotion"
    assert "promote one by hand" in decided.reasons[-1]
    assert decided.phase == stand.phase and stand.phase is not None
    assert is_followed(a.registry, a.ledger)
    again = replay(a.lake, a.registry, a.ledger, decided.decision_id)
    assert again.outcome == "reproduced", again.detail


def test_a_rollback_does_not_wait_for_models(probation: Stand) -> None:
    stand, a = probation, probation.a
    stand.live(Effect(-0.35), 4)
    phase = stand.phase
    assert phase is not None

    due = undecided(a.lake, a.registry, a.ledger)

    assert due[-1] == phase.first_day + timedelta(days=4)
    assert {version.as_of for version in a.registry.versions()}.isdisjoint(due)
    assert a.decide(due[-1]).champion == stand.als


def test_a_rollback_after_a_rollback_by_the_gate_does_not_undo_it(probation: Stand) -> None:
    stand, first = probation, AT_HALF
    stand.live(Effect(-0.35), 4)
    stand.decide(first + 8)
    assert stand.a.ledger.stages()[stand.xgboost] == "rolled_back"

    with pytest.raises(LedgerError, match="may come back"):
        rolled_back(stand.a)


def test_a_version_on_probation_is_no_place_to_roll_back_to(stand: Stand) -> None:
    a = stand.a
    promoted(a, "content")
    second = promoted(a, "item-item")

    assert second.phase is not None and second.phase.control == stand.als
    assert a.aliases()["previous"] == stand.als
    assert rollback_target(a.registry, a.ledger) == stand.als

    back = rolled_back(a)

    assert (back.champion_after, back.phase) == (stand.als, None)


def test_a_removed_version_that_a_person_promotes_is_on_probation(stand: Stand) -> None:
    a = stand.a
    promoted(a, "content")
    rolled_back(a)
    back = stages(a)

    again = promoted(a, "content")

    assert (again.stage_after, again.phase and again.phase.control) == ("probation", stand.als)
    assert a.registry.version(a.number("content")).stage == Stage.PROBATION
    # The ledger alone says the stage of every version, as it is tagged in MLflow.
    assert [told for told, tag in back] == [tag for _, tag in back]
    assert {"champion", "rolled_back", "candidate"} <= {tag for _, tag in back}
    assert all(told == tag for told, tag in stages(a))
    assert "retired" in {tag for _, tag in stages(a)}


def test_the_version_that_was_confirmed_is_shown_only_to_who_confirms_it(stand: Stand) -> None:
    a = stand.a
    promoted(a, "content")
    entries = a.ledger.entries()

    with pytest.raises(LedgerError, match=f"bring back version {stand.als} now, not version 99"):
        roll_back_by_hand(a.registry, a.ledger, MANUAL, to="99")

    assert a.ledger.entries() == entries


def test_a_day_on_which_its_version_was_rolled_back_is_decided_without_it(
    after_a_day: Audition,
) -> None:
    a = after_a_day
    a.enter(day(1), content=0.30)
    removed = a.number("content", day(1))
    manual = replace(MANUAL, as_of=day(1))
    promote_by_hand(a.registry, a.ledger, manual, version=removed, users=USERS, salt=SALT)
    roll_back_by_hand(a.registry, a.ledger, manual)
    a.registry.set_stage(removed, Stage.CANDIDATE)

    outcome = a.decide(day(1))

    assert removed not in {
        e.challenger for e in outcome.entries if e.evidence["kind"] == "challenge"
    }
    assert len(outcome.entries) > 2
    assert a.ledger.stages()[removed] == "rolled_back"
    assert outcome.champion != removed
    assert undecided(a.lake, a.registry, a.ledger) == []


def test_a_refit_that_the_ledger_removed_is_not_picked_whatever_its_tag_says(
    after_a_day: Audition,
) -> None:
    a = after_a_day
    serving = a.registry.version(a.number("als"))
    a.enter(AS_OF + timedelta(days=1))
    refit = a.number("als", AS_OF + timedelta(days=1))
    asked: list[str] = []

    class Watched(type(a.registry)):  # type: ignore[misc]
        def load(self, version):  # type: ignore[no-untyped-def]
            asked.append(version.version)
            return super().load(version)

    registry = Watched(a.registry.tracking_uri, a.registry.artifact_root)
    found = measure_refit(a.lake, registry, serving, as_of=day(2), rules=a.rules, removed={refit})

    assert (found, asked) == (None, [])


@pytest.mark.parametrize("removed", [Stage.ROLLED_BACK, Stage.REJECTED])
def test_the_ledger_itself_refuses_to_serve_a_removed_version(stand: Stand, removed: Stage) -> None:
    a, content = stand.a, stand.a.number("content")
    last = a.ledger.last()
    assert last is not None
    values = {f: getattr(last, f) for f in Entry.__dataclass_fields__}
    values = {k: v for k, v in values.items() if k not in {"sequence", "previous_hash", "hash"}}
    from firstchair.promotion import Decision

    gone = Decision(
        **values | {
            "decision_id": "gone", "challenger": content, "stage_before": None,
            "stage_after": str(removed),
        }
    )  # fmt: skip
    a.ledger.append(gone)
    entries = a.ledger.entries()
    serves_again = (
        replace(gone, decision_id="1", stage_after="canary", stage_before="candidate"),
        replace(gone, decision_id="2", stage_after="champion", champion_after=content),
        replace(gone, decision_id="3", challenger=None, stage_after=None, champion_after=content),
    )

    for decision in serves_again:
        with pytest.raises(LedgerError, match=f"goes from {removed} to"):
            a.ledger.append(decision)

    assert a.ledger.entries() == entries


def test_an_alias_that_somebody_moved_is_put_back_before_lists_are_published(stand: Stand) -> None:
    a = stand.a
    promoted(a, "content")
    rolled_back(a)
    a.registry.set_alias("champion", a.number("content"))

    assert restore_aliases(a.registry, a.ledger, now=NOW)

    assert a.aliases()["champion"] == stand.als
    last = a.ledger.last()
    assert last is not None and last.reason_codes == ("alias_moved",)


@pytest.mark.parametrize("number", ["999", "abc", "-1", "1; drop", "9" * 40, "", "1.5"])
def test_a_version_that_does_not_exist_is_refused_with_those_that_do(
    stand: Stand, number: str
) -> None:
    a = stand.a

    with pytest.raises(ModelError) as refused:
        promote_by_hand(a.registry, a.ledger, MANUAL, version=number, users=USERS, salt=SALT)

    assert refused.value.what == f"There is no version {number} of artist-recommender."
    assert f"{a.number('content')} (content)" in refused.value.remedy
    assert "MLflow" not in str(refused.value)

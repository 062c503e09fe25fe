"""What logged slates say of shadow lists: worse ones reach no user, better ones prove nothing."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from firstchair.lake import tables as t
from firstchair.promotion import Decision, Ledger, Stage
from tests.firstchair.promotion.conftest import AS_OF, NEXT_DAY, NOW, Audition

Make = Callable[..., Audition]
K, LENGTH, ARTISTS, EXPLORATION = 10, 20, 40, 0.3
LOOKS = 1 / np.arange(1, K + 1) ** 0.7


def ranked_by(view: np.ndarray) -> np.ndarray:
    """int64 (users, `LENGTH`)."""
    return np.argsort(-view, axis=1)[:, :LENGTH]


def live_a_day(
    a: Audition, *, blur: float, users: int = 6_000, day: date = AS_OF, seed: int = 1
) -> None:
    """Everybody logs in once; the champion ranks by taste with noise 0.6, the challenger `blur`."""
    rng = np.random.default_rng(seed)
    appeal = np.minimum(rng.beta(1.2, 6, ARTISTS) * rng.lognormal(0, 0.2, (users, ARTISTS)), 0.9)
    ours, theirs = (
        ranked_by(appeal * rng.lognormal(0, noise, appeal.shape)) for noise in (0.6, blur)
    )
    keys = [f"u{number:05d}" for number in range(users)]
    names = np.array([f"a{number:02d}" for number in range(ARTISTS)])
    champion, behind = a.number("als"), a.number("xgboost")
    lists = []
    for version, listed in ((champion, ours), (behind, theirs)):
        user, place = np.divmod(np.arange(users * LENGTH), LENGTH)
        columns = {
            "user_key": np.array(keys)[user],
            "as_of": [day] * len(user),
            "model_version": [version] * len(user),
            "position": place + 1,
            "artist_id": names[listed.ravel()],
            "score": np.zeros(len(user)),
            "reason": [""] * len(user),
        }
        lists.append(pa.table(columns).cast(t.RECOMMENDATIONS.schema))
    a.lake.replace_partition(t.RECOMMENDATIONS, pa.concat_tables(lists), day)
    shown, chance = ours[:, :K].copy(), np.full((users, K), 1 - EXPLORATION / K)
    clicked = np.zeros((users, K), dtype=bool)
    for user in range(users):
        if rng.random() < EXPLORATION:
            outside = np.setdiff1d(np.union1d(ours[user], theirs[user]), shown[user])
            slot = rng.integers(K)
            shown[user, slot] = rng.choice(outside)
            chance[user, slot] = EXPLORATION / K / len(outside)
        clicked[user] = rng.random(K) < LOOKS * appeal[user, shown[user]]
    user, place = np.divmod(np.arange(users * K), K)
    impressions = {
        "user_key": np.array(keys)[user],
        "slate_id": np.char.add("s", user.astype(str)),
        "artist_id": names[shown.ravel()],
        "position": place + 1,
    }
    clicks = {name: column[clicked.ravel()] for name, column in impressions.items()}
    impressions["propensity"] = chance.ravel()
    impressions["model_version"] = np.full(len(user), champion)
    events = [happened("impression", day, impressions), happened("click", day, clicks)]
    a.lake.replace_partition(t.EVENTS, pa.concat_tables(events), day)


def happened(kind: str, day: date, columns: dict[str, np.ndarray]) -> pa.Table:
    """Events of a kind at noon."""
    count, noon = len(columns["user_key"]), datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    absent = {field.name: pa.nulls(count, field.type) for field in t.EVENTS.schema}
    known = {
        "event_id": np.char.add(kind, np.arange(count).astype(str)),
        "event_type": pa.repeat(kind, count),
        "event_date": pa.repeat(day, count),
        "occurred_at": pa.repeat(noon, count),
    }
    return pa.table(absent | known | columns).cast(t.EVENTS.schema)


def off_policy(a: Audition) -> dict[str, object]:
    """The check of that name in the newest entry."""
    return next(
        check for check in a.ledger.entries()[0].evidence["checks"] if check["name"] == "off_policy"
    )


def test_lists_that_would_be_clicked_far_less_are_vetoed_however_good_they_are_on_test_days(
    after_a_day: Audition,
) -> None:
    a = after_a_day
    live_a_day(a, blur=1.5)
    a.enter(NEXT_DAY, xgboost=0.24)

    a.decide(NEXT_DAY)

    entry = a.ledger.entries()[0]
    lift = entry.evidence["off_policy"]["lift"]
    assert (entry.decision, entry.reason_codes, entry.phase) == (
        "reject",
        ("off_policy_worse",),
        None,
    )
    assert lift["upper"] < 0
    assert off_policy(a)["passes"] is False
    assert a.registry.version(a.number("xgboost", NEXT_DAY)).stage == Stage.REJECTED
    assert a.aliases()["champion"] == a.number("als")


def test_better_lists_are_no_proof_for_one_who_is_not_better_on_test_days(
    after_a_day: Audition,
) -> None:
    a = after_a_day
    live_a_day(a, blur=0.05)
    a.enter(NEXT_DAY)

    a.decide(NEXT_DAY)

    entry = a.ledger.entries()[0]
    assert entry.evidence["off_policy"]["lift"]["lower"] > 0
    assert off_policy(a)["passes"] is True
    assert (entry.decision, entry.phase) == ("hold", None)
    assert "not_superior" in entry.reason_codes


def test_where_no_slate_tells_of_him_that_is_said_and_holds_nobody_back(audition: Make) -> None:
    a = audition()
    a.enter(xgboost=0.24)

    a.decide()

    assert a.ledger.entries()[0].reason_codes == ("shadow_passed", "superior")
    assert off_policy(a) == {
        "name": "off_policy",
        "passes": True,
        "detail": "No support: 0 slates with both lists (0 effective samples).",
    }


def test_few_slates_have_no_support_and_veto_nobody(after_a_day: Audition) -> None:
    a = after_a_day
    live_a_day(a, blur=1.5, users=30)
    a.enter(NEXT_DAY, xgboost=0.24)

    a.decide(NEXT_DAY)

    assert a.ledger.entries()[0].evidence["off_policy"]["supported"] is False
    assert str(off_policy(a)["detail"]).startswith("No support")
    assert a.ledger.entries()[0].phase is not None


def test_slates_of_a_day_whose_records_are_bad_tell_nothing(audition: Make) -> None:
    a = audition()
    a.enter()
    a.decide()
    live_a_day(a, blur=1.5, users=200)
    row = dict.fromkeys(t.DATA_QUALITY.schema.names) | {
        "event_date": AS_OF,
        "measure": "refused",
        "blocks": True,
    }
    a.lake.replace_partition(
        t.DATA_QUALITY, pa.Table.from_pylist([row], schema=t.DATA_QUALITY.schema), AS_OF
    )
    later = NEXT_DAY + timedelta(days=1)
    a.enter(later)

    a.decide(later)

    assert a.ledger.entries()[0].evidence["off_policy"]["slates"] == 0


def test_two_contenders_of_one_day_are_both_heard_though_a_kill_falls_between_them(
    after_a_day: Audition, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = after_a_day
    seat(a, "item-item")
    a.enter(NEXT_DAY, **{"item-item": 0.20, "als": 0.12, "xgboost": 0.24})
    real, told = Ledger.append, []

    def killed_after_the_first_contender(ledger: Ledger, decision: Decision) -> object:
        if told:
            raise KeyboardInterrupt
        entry = real(ledger, decision)
        told.extend([entry] if decision.evidence["kind"] == "challenge" else [])
        return entry

    with monkeypatch.context() as broken:
        broken.setattr(Ledger, "append", killed_after_the_first_contender)
        with pytest.raises(KeyboardInterrupt):
            a.decide(NEXT_DAY)
    a.decide(NEXT_DAY)

    heard = {
        e.challenger
        for e in a.ledger.entries()
        if e.as_of == NEXT_DAY and e.evidence["kind"] == "challenge"
    }
    assert heard == {a.number("als", NEXT_DAY), a.number("xgboost", NEXT_DAY)}
    assert a.registry.version(a.number("xgboost", NEXT_DAY)).stage == Stage.CANARY


def seat(a: Audition, family: str) -> None:
    """As if the family had won the chair and been confirmed."""
    last = a.ledger.last()
    assert last is not None
    decision = Decision(
        decision_id=f"{family} sits",
        decided_at=NOW,
        as_of=AS_OF,
        decision="hold",
        champion_before=last.champion_after,
        champion_after=a.number(family),
        challenger=a.number(family),
        stage_before=None,
        stage_after=None,
        reason_codes=("confirmed",),
        reasons=("It was confirmed.",),
        evidence={"kind": "trial", "phase": None, "challenger_after": last.champion_after},
        data_fingerprint="",
        actor="test",
    )
    a.ledger.append(decision)
    a.registry.set_alias("champion", a.number(family))

"""Evidence files as they come: sound in two formats, and broken in every way we know of."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from firstchair.errors import BadEvidenceError
from firstchair.promotion import Verb
from firstchair.promotion.audition import Effect
from firstchair.promotion.rules import LiveRules
from firstchair.promotion.trial import as_evidence, decide, read_evidence
from tests.firstchair.promotion.trial.evidence_tables import evidence_of

SOUND = evidence_of(Effect(0.10), users=3_000, days=21)
Break = Callable[[pa.Table], pa.Table]


def put(name: str, values: object) -> Break:
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(values))


def first(name: str, value: object) -> Break:
    """The first row has another value."""

    def changed(table: pa.Table) -> pa.Table:
        values = table.column(name).to_pylist()
        return table.set_column(table.column_names.index(name), name, pa.array([value, *values[1:]]))

    return changed


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda t: t.drop(["clicks"]), "1 of 21 columns are missing: clicks"),
        (lambda t: t.drop(["pre_clicks", "arm"]), "2 of 21 columns are missing: arm, pre_clicks"),
        (first("arm", "control"), "Unknown arm 'control'"),
        (first("arm", None), "have no arm"),
        (first("user_key", None), "have no user_key"),
        (first("impressions", -1.0), "values of impressions are negative"),
        (first("pre_active_days", -1.0), "values of pre_active_days are negative"),
        (first("clicks", 1e6), "more clicks than impressions"),
        (first("pre_clicks", 1e9), "more pre_clicks than pre_impressions"),
        (first("impressions", float("nan")), "values of impressions are missing or not finite"),
        (first("pre_impressions", float("inf")), "values of pre_impressions are missing or not finite"),
        (first("ms_played", None), "values of ms_played are missing"),
        (first("active", 2.0), "neither 0 nor 1"),
        (first("churned_7", 3), "neither 0 nor 1"),
        (put("clicks", ["many"] * SOUND.num_rows), "Column clicks does not hold numbers"),
        (put("day", ["yesterday"] * SOUND.num_rows), "Column day does not hold dates"),
        (lambda t: pa.concat_tables([t, t.slice(0, 1)]), "a second time on one day"),
        (lambda t: t.take(np.arange(t.num_rows)[::-1]), "out of order"),
        (lambda t: t.slice(0, 0), "There is no row"),
    ],
)
def test_rows_that_are_no_evidence_are_refused_in_words(broken: Break, says: str) -> None:
    with pytest.raises(BadEvidenceError) as raised:
        as_evidence(broken(SOUND))

    assert says in raised.value.what
    assert "the champion stays" in raised.value.data


def test_a_user_in_both_arms_is_refused() -> None:
    later = pc.greater(SOUND.column("day"), date(2026, 3, 4))
    arms = pc.if_else(later, "champion", SOUND.column("arm"))

    with pytest.raises(BadEvidenceError, match="stand in both arms"):
        as_evidence(put("arm", arms.to_pylist())(SOUND))


@pytest.mark.parametrize("kept", ["champion", "challenger"])
def test_a_single_arm_is_held(kept: str) -> None:
    one = SOUND.filter(pc.equal(SOUND.column("arm"), kept))

    found = decide(as_evidence(one), LiveRules())

    assert found.decision is Verb.HOLD
    assert {"single_arm", "sample_ratio_mismatch"} & set(found.reason_codes)


def test_one_user_is_held() -> None:
    found = decide(as_evidence(SOUND.slice(0, 1)), LiveRules())

    assert (found.decision, found.metrics[0].se) == (Verb.HOLD, None)
    assert "single_arm" in found.reason_codes


def test_csv_and_parquet_tell_the_same(tmp_path: Path) -> None:
    pa.csv.write_csv(SOUND, tmp_path / "e.csv")
    pq.write_table(SOUND, tmp_path / "e.parquet")

    found = [decide(read_evidence(tmp_path / name), LiveRules()) for name in ("e.csv", "e.parquet")]

    assert found[0] == found[1]
    assert found[0].day == date(2026, 3, 21)


def test_rows_by_user_tell_the_same_as_rows_by_day() -> None:
    by_user = SOUND.take(pc.sort_indices(SOUND, [("user_key", "ascending"), ("day", "ascending")]))

    found = [decide(as_evidence(table), LiveRules()) for table in (by_user, SOUND)]
    assert found[0].metrics[0].relative_difference == pytest.approx(found[1].metrics[0].relative_difference, abs=1e-12)
    assert found[0].reason_codes == found[1].reason_codes


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    path.write_bytes(b"no parquet at all")

    with pytest.raises(BadEvidenceError, match=r"e\.parquet cannot be read"):
        read_evidence(path)


def test_a_play_longer_than_its_track_counts_as_the_track() -> None:
    longer = put("ms_played", (np.asarray(SOUND.column("track_ms")) * 3).tolist())(SOUND)

    listened = next(m for m in decide(as_evidence(longer), LiveRules()).metrics if m.name == "listen_through")

    assert listened.champion == pytest.approx(1.0)


def test_an_unknown_segment_is_a_segment_of_its_own() -> None:
    evidence = as_evidence(first("country", None)(SOUND))

    assert "unknown" in evidence.segments["country"].values


def test_the_days_before_a_stage_are_as_bounded_as_its_own() -> None:
    evidence = as_evidence(first("pre_active_days", 1e6)(first("pre_ms_played", 1e15)(SOUND)))

    assert evidence.before["pre_active_days"].max() <= 28
    assert (evidence.before["pre_ms_played"] <= evidence.before["pre_track_ms"]).all()

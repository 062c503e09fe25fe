"""Evidence files as they come: sound in every format, and broken in every way we know of."""

import gzip
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firstchair.errors import BadEvidenceError
from firstchair.promotion import Reason, Verb
from firstchair.promotion.audition import Effect
from firstchair.promotion.experiment import ExperimentDecision, as_evidence, decide, read_evidence
from firstchair.promotion.rules import LiveRules
from tests.firstchair.promotion.experiment.evidence_tables import evidence_of

Break = Callable[[pa.Table], pa.Table]


@pytest.fixture(scope="module")
def sound() -> pa.Table:
    """Evidence without a fault."""
    return evidence_of(Effect(0.10), users=3_000, days=21)


@pytest.fixture(scope="module")
def small() -> pa.Table:
    """The same of a few days."""
    return evidence_of(Effect(0.10), users=2_000, days=4)


@pytest.fixture(scope="module")
def of_small(small: pa.Table) -> ExperimentDecision:
    return decide(as_evidence(small), LiveRules())


def put(name: str, values: object) -> Break:
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(values))


def first(name: str, value: object) -> Break:
    """The first row has another value."""

    def changed(table: pa.Table) -> pa.Table:
        values = table.column(name).to_pylist()
        return table.set_column(
            table.column_names.index(name), name, pa.array([value, *values[1:]])
        )

    return changed


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (lambda t: t.drop(["clicks"]), "1 of 21 columns are missing: clicks"),
        (lambda t: t.drop(["pre_clicks", "arm"]), "2 of 21 columns are missing: arm, pre_clicks"),
        (first("arm", "both"), "Unknown arm 'both'"),
        (first("arm", None), "have no arm"),
        (first("user_key", None), "have no user_key"),
        (first("user_key", ""), "have no user_key"),
        (first("impressions", -1.0), "values of impressions are negative"),
        (first("pre_active_days", -1.0), "values of pre_active_days are negative"),
        (first("impressions", float("nan")), "values of impressions are missing or not finite"),
        (
            first("pre_impressions", float("inf")),
            "values of pre_impressions are missing or not finite",
        ),
        (first("ms_played", None), "values of ms_played are missing"),
        (first("active", 2.0), "neither 0 nor 1"),
        (first("churned_7", 3), "neither 0 nor 1"),
        (lambda t: put("clicks", ["many"] * t.num_rows)(t), "Column clicks does not hold numbers"),
        (lambda t: put("day", ["yesterday"] * t.num_rows)(t), "Column day does not hold dates"),
        (lambda t: t.slice(0, 0), "There is no row"),
    ],
)
def test_rows_that_are_no_evidence_are_refused_in_words(
    broken: Break, says: str, sound: pa.Table
) -> None:
    with pytest.raises(BadEvidenceError) as raised:
        as_evidence(broken(sound))

    assert says in raised.value.what
    assert "the champion stays" in raised.value.data


def left_out(found: ExperimentDecision) -> tuple[bool, str]:
    check = next(check for check in found.checks if check.name == "left_out")
    return check.passes, check.detail


def in_both_arms(table: pa.Table, users: int) -> pa.Table:
    """So many users who were there before the fifth day fall to the other arm after four days."""
    later = pc.greater(table.column("day"), date(2026, 3, 4))
    early = set(table.filter(pc.invert(later)).column("user_key").to_pylist())
    keys = dict.fromkeys(reversed(table.filter(later).column("user_key").to_pylist()))
    moved = [key for key in keys if key in early][:users]
    changed = pc.and_(later, pc.is_in(table["user_key"], pa.array(moved)))
    other = pc.if_else(pc.equal(table.column("arm"), "champion"), "challenger", "champion")
    return put("arm", pc.if_else(changed, other, table.column("arm")).to_pylist())(table)


def test_users_in_both_arms_are_left_out_and_counted(sound: pa.Table) -> None:
    changed = in_both_arms(sound, 20)
    arms = changed.group_by("user_key").aggregate([("arm", "count_distinct")])
    both = arms.filter(pc.equal(arms["arm_count_distinct"], 2))["user_key"].combine_chunks()
    without = sound.filter(pc.invert(pc.is_in(sound["user_key"], both)))

    found, expected = (
        decide(as_evidence(changed), LiveRules()),
        decide(as_evidence(without), LiveRules()),
    )

    assert len(both) == 20
    assert left_out(found) == (
        True,
        f"Left out: {len(both)} of 3,000 users in both arms; over 1% of an arm nothing is decided.",
    )
    assert found.metrics == expected.metrics
    assert found.reason_codes == expected.reason_codes


@pytest.mark.parametrize("number", [20, 21])
def test_a_click_without_an_impression_is_left_out_and_its_row_stays(
    number: int, sound: pa.Table
) -> None:
    shown, clicked = (
        np.asarray(sound.column(name), dtype=float).copy() for name in ("impressions", "clicks")
    )
    lost = np.flatnonzero(clicked > 0)[:number]
    shown[lost] = 0
    broken = put("impressions", shown)(sound)
    clicked[lost] = 0

    found = decide(as_evidence(broken), LiveRules())

    assert left_out(found)[1].startswith(
        f"Left out: {number} of {sound.num_rows:,} rows with clicks beyond their"
    )
    assert found.metrics == decide(as_evidence(put("clicks", clicked)(broken)), LiveRules()).metrics


def test_too_much_that_is_left_out_of_one_arm_holds_whatever_the_effect() -> None:
    better = evidence_of(Effect(0.15), users=8_000, days=21)
    rules = LiveRules(listen_margin=0.05, active_margin=0.05)
    arm = np.asarray(better.column("arm")) == "challenger"
    rows = np.flatnonzero(arm & (np.asarray(better.column("impressions"), dtype=float) > 0))

    def with_excess(count: int) -> ExperimentDecision:
        clicks = np.asarray(better.column("clicks"), dtype=float).copy()
        clicks[rows[:count]] = 1e6
        return decide(as_evidence(put("clicks", clicks)(better)), rules)

    limit = int(0.01 * arm.sum())
    assert with_excess(0).decision is Verb.PROMOTE
    assert Reason.EVIDENCE_LEFT_OUT not in with_excess(limit).reason_codes
    over = with_excess(limit + 1)
    assert (over.decision, over.reason_codes) == (Verb.HOLD, (Reason.EVIDENCE_LEFT_OUT,))
    assert left_out(over)[0] is False
    assert "write them anew" in " ".join(over.outlook)


def test_a_row_that_comes_twice_counts_once_and_one_that_differs_not_at_all(
    sound: pa.Table,
) -> None:
    first_day = sound.slice(0, 5)
    twice = decide(as_evidence(pa.concat_tables([sound, first_day])), LiveRules())
    differing = pa.concat_tables([sound, put("plays", [77.0] * 5)(first_day).cast(sound.schema)])
    contradicted = decide(as_evidence(differing), LiveRules())

    assert twice.metrics == decide(as_evidence(sound), LiveRules()).metrics
    assert "5 of " in left_out(twice)[1]
    assert "there a second time" in left_out(twice)[1]
    assert contradicted.metrics == decide(as_evidence(sound.slice(5)), LiveRules()).metrics
    assert (
        f"10 of {sound.num_rows + 5:,} rows that give a user's day differently"
        in left_out(contradicted)[1]
    )


@given(seed=st.integers(0, 2**32))
@settings(max_examples=5, deadline=None)
def test_the_order_of_rows_changes_not_a_bit(
    small: pa.Table, of_small: ExperimentDecision, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(small.num_rows)

    assert decide(as_evidence(small.take(order)), LiveRules()) == of_small


def test_arms_have_both_names(sound: pa.Table) -> None:
    named = pc.if_else(pc.equal(sound.column("arm"), "champion"), "control", "treatment")

    assert decide(as_evidence(put("arm", named.to_pylist())(sound)), LiveRules()) == decide(
        as_evidence(sound), LiveRules()
    )


@pytest.mark.parametrize(
    ("row", "day", "apart"),
    [
        (0, date(1970, 1, 1), "20,513"),
        (2_999, date(2025, 12, 1), "90"),
        (-1, date(2027, 3, 21), "365"),
    ],
)
def test_a_row_far_from_its_stage_is_refused_by_name(
    row: int, day: date, apart: str, tmp_path: Path, sound: pa.Table
) -> None:
    days = sound.column("day").to_pylist()
    days[row] = day
    pq.write_table(put("day", days)(sound), tmp_path / "e.parquet")

    with pytest.raises(BadEvidenceError) as raised:
        read_evidence(tmp_path / "e.parquet", most_days=LiveRules().most_evidence_days)

    assert f"1 of {sound.num_rows} rows lie {apart} days from the others" in raised.value.what
    assert f"first row {row % len(days) + 1} of {day}" in raised.value.what


@pytest.mark.parametrize("kept", ["champion", "challenger"])
def test_a_single_arm_is_held(kept: str, sound: pa.Table) -> None:
    one = sound.filter(pc.equal(sound.column("arm"), kept))

    found = decide(as_evidence(one), LiveRules())

    assert found.decision is Verb.HOLD
    assert {"single_arm", "sample_ratio_mismatch"} & set(found.reason_codes)


def test_one_user_is_held(sound: pa.Table) -> None:
    found = decide(as_evidence(sound.slice(0, 1)), LiveRules())

    assert (found.decision, found.metrics[0].se) == (Verb.HOLD, None)
    assert "single_arm" in found.reason_codes


def test_every_kind_of_file_tells_the_same(tmp_path: Path, sound: pa.Table) -> None:
    pa.csv.write_csv(sound, tmp_path / "e.csv")
    (tmp_path / "e.csv.gz").write_bytes(gzip.compress((tmp_path / "e.csv").read_bytes()))
    pq.write_table(sound, tmp_path / "e.parquet")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "_SUCCESS").touch()
    for number, start in enumerate(range(0, sound.num_rows, 10_000)):
        part = sound.slice(start, 10_000)
        if number == 1:
            part = put("churned_14", pa.nulls(part.num_rows))(part)
        pq.write_table(part, tmp_path / "parts" / f"part-{number}.snappy.parquet")
    pq.write_to_dataset(sound, tmp_path / "by_day", partition_cols=["day", "country"])

    names = ("e.csv", "e.csv.gz", "e.parquet", "by_day")
    found = [decide(read_evidence(tmp_path / name), LiveRules()) for name in names]
    in_parts = read_evidence(tmp_path / "parts")

    assert found[1:] == found[:-1]
    assert found[0].day == date(2026, 3, 21)
    assert (in_parts.users, len(in_parts.user)) == (3_000, sound.num_rows)


def test_a_folder_without_a_part_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no rows here")

    with pytest.raises(BadEvidenceError, match="holds no Parquet part"):
        read_evidence(tmp_path)


def test_types_of_a_text_file_are_not_guessed_by_its_beginning(
    tmp_path: Path, sound: pa.Table
) -> None:
    count = sound.num_rows - 1
    rows = put("churned_7", pa.array([*[None] * count, 1], pa.int8()))(sound)
    rows = put("ms_played", pa.array([*[0.0] * count, 0.5]))(rows)
    pa.csv.write_csv(rows, tmp_path / "e.csv")
    text = (tmp_path / "e.csv").read_text().replace(",0.0,", ",0,")
    (tmp_path / "e.csv").write_text(text)

    assert read_evidence(tmp_path / "e.csv").users == 3_000


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    path.write_bytes(b"no parquet at all")

    with pytest.raises(BadEvidenceError, match=r"e\.parquet cannot be read"):
        read_evidence(path)


def test_a_play_longer_than_its_track_counts_as_the_track(sound: pa.Table) -> None:
    longer = put("ms_played", (np.asarray(sound.column("track_ms")) * 3).tolist())(sound)

    listened = next(
        m for m in decide(as_evidence(longer), LiveRules()).metrics if m.name == "listen_through"
    )

    assert listened.champion == pytest.approx(1.0)


def test_an_unknown_segment_is_a_segment_of_its_own(sound: pa.Table) -> None:
    evidence = as_evidence(first("country", None)(sound))

    assert "unknown" in evidence.segments["country"].values


def test_the_days_before_a_stage_are_as_bounded_as_its_own(sound: pa.Table) -> None:
    evidence = as_evidence(first("pre_active_days", 1e6)(first("pre_ms_played", 1e15)(sound)))

    assert evidence.before["pre_active_days"].max() <= 28
    assert (evidence.before["pre_ms_played"] <= evidence.before["pre_track_ms"]).all()

"""The split by time, on a history in a real lake."""

from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pytest
from scipy import sparse

from firstchair.errors import EvidenceError, LeakageError
from firstchair.evaluation import Split, load_split
from firstchair.evaluation.split import refuse_future
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import load_training_data

FIRST = date(2026, 1, 1)


def key(number: int) -> str:
    return f"{number:032x}"


def fill(lake: Lake, plays: list[tuple[int, int, str]], *, slate_id: str | None = None) -> None:
    """Plays as (day number, user number, artist_id) into silver, with accounts and artists.

    Where a slate is named, it led to the plays of artists whose name begins with "shown".
    """
    users = [
        {"user_key": key(n), "age_group": "25-34", "gender": "female", "country": "CL",
         "state": "x", "city": "y", "created_at": datetime(2025, 1, 1, tzinfo=UTC)}
        for n in {user for _, user, _ in plays}
    ]  # fmt: skip
    artists = sorted({artist for _, _, artist in plays})
    lake.overwrite(t.USERS, pa.Table.from_pylist(users, schema=t.USERS.schema))
    rows = [
        {"artist_id": a, "name": a.upper(), "genres": ["jazz"], "followers": 10} for a in artists
    ]
    lake.overwrite(t.ARTISTS, pa.Table.from_pylist(rows, schema=t.ARTISTS.schema))
    tracks = [{"track_id": f"t-{a}", "artist_id": a, "duration_ms": 200_000} for a in artists]
    lake.overwrite(t.TRACKS, pa.Table.from_pylist(tracks, schema=t.TRACKS.schema))
    events = [
        {"event_id": f"e{n}", "event_type": "play", "event_date": FIRST + timedelta(days=day),
         "occurred_at": datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day),
         "user_key": key(user), "source": "web", "source_seq": n, "simulated": True,
         "artist_id": artist, "track_id": f"t-{artist}", "ms_played": 200_000,
         "slate_id": slate_id if artist.startswith("shown") else None}
        for n, (day, user, artist) in enumerate(plays)
    ]  # fmt: skip
    lake.overwrite(t.EVENTS, pa.Table.from_pylist(events, schema=t.EVENTS.schema))


def pairs(split: Split, matrix: sparse.csr_matrix) -> set[tuple[str, str]]:
    """Users and artists of the stored entries."""
    return {
        (split.train.user_keys[row], split.train.artist_ids[column])
        for row, column in zip(*matrix.nonzero(), strict=True)
    }


def test_a_quarter_of_the_history_is_the_test_with_a_day_of_silence_before_it(lake: Lake) -> None:
    plays = [(day, 1, "a") for day in range(16)]
    plays += [(12, 1, "gap"), (13, 1, "found"), (15, 2, "found")]
    fill(lake, plays)

    split = load_split(lake, as_of=FIRST + timedelta(days=16))

    assert (split.test_days, split.cutoff) == (4, FIRST + timedelta(days=12))
    assert pairs(split, split.positives) == {(key(1), "found"), (key(2), "found")}
    assert not split.prompted.nnz


def test_what_slates_led_to_is_apart_from_what_models_are_judged_by(lake: Lake) -> None:
    plays = [(day, 1, "a") for day in range(16)]
    plays += [(13, 1, "shown 1"), (14, 1, "found"), (15, 2, "shown 2")]
    fill(lake, plays, slate_id="s")

    split = load_split(lake, as_of=FIRST + timedelta(days=16))

    assert pairs(split, split.positives) == {(key(1), "found")}
    assert pairs(split, split.prompted) == {(key(1), "shown 1"), (key(2), "shown 2")}


def test_nothing_of_the_test_days_is_in_the_training_data(lake: Lake) -> None:
    fill(lake, [(day, 1, f"a{day:02d}") for day in range(20)])

    split = load_split(lake, as_of=FIRST + timedelta(days=20))

    taken = {split.train.artist_ids[column] for column in split.train.taken().indices}
    assert max(taken) < f"a{(split.cutoff - FIRST).days:02d}"


def test_training_data_that_read_the_day_itself_are_refused(lake: Lake) -> None:
    fill(lake, [(day, 1, f"a{day:02d}") for day in range(20)])
    cutoff = FIRST + timedelta(days=15)
    leaky = load_training_data(lake, as_of=cutoff + timedelta(days=1))

    with pytest.raises(LeakageError, match="2026-01-16"):
        refuse_future(leaky, cutoff)


def test_a_history_of_two_days_cannot_be_split(lake: Lake) -> None:
    fill(lake, [(0, 1, "a"), (1, 1, "b")])

    with pytest.raises(EvidenceError, match="cannot be split"):
        load_split(lake, as_of=FIRST + timedelta(days=2))


def test_the_fingerprint_is_of_what_a_model_can_see(lake: Lake) -> None:
    plays = [(day, 1, f"a{day:02d}") for day in range(20)]
    fill(lake, plays)
    as_of = FIRST + timedelta(days=10)
    before = load_training_data(lake, as_of=as_of).fingerprint

    fill(lake, [*plays, (15, 1, "a03")])
    later_event = load_training_data(lake, as_of=as_of).fingerprint
    fill(lake, [*plays, (5, 1, "a03")])
    earlier_event = load_training_data(lake, as_of=as_of).fingerprint

    assert later_event == before
    assert earlier_event != before

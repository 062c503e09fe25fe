"""What was recorded of a merged artist counts as the other's, in every room and on every day."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from firstchair import features
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import load_training_data
from firstchair.promotion import Phase, Span, Stage, build_evidence
from firstchair.promotion.slate_log import Shadowed, slate_log
from monitoring import build_baselines, build_engagement
from monitoring.samples import draw
from tests.monitoring.conftest import Story

FIRST, LAST = date(2026, 1, 10), date(2026, 1, 30)
AS_OF = LAST + timedelta(days=1)
ONE_DAY = timedelta(days=1)
OLD, NEW, OTHER = "old", "new", "other"
KEYS = [f"{number:032x}" for number in range(8)]


def told(folder: Path, merged: str) -> Lake:
    """Users are shown, click, play and follow an artist by the name `merged`, then by NEW."""
    story = Story(Lake(str(folder)))
    for artist in (NEW, OTHER):
        story.artist(artist, followers=50)
    story.track("t", 200_000)
    for day in range((LAST - FIRST).days + 1):
        at = f"{FIRST + day * ONE_DAY}"
        artist = merged if day < 15 else NEW
        for number, key in enumerate(KEYS):
            slate = f"{day}-{number}"
            story.login(key, f"{at}T08:00")
            story.shown(key, f"{at}T08:01", slate, [artist, OTHER], version=str(1 + number % 2))
            if (day + number) % 3 == 0:
                story.clicked(key, f"{at}T08:02", slate, artist)
                story.played(key, f"{at}T08:03", artist, 150_000, slate=slate)
            if day == number:
                story.followed(key, f"{at}T09:00", artist)
    story.artists.pop(OLD, None)
    return story.told()


def merge(lake: Lake, **targets: str) -> None:
    rows = [
        {"artist_id": artist, "stated": target, "redirect_to": target, "fault": None}
        for artist, target in targets.items()
    ]
    lake.overwrite(t.ARTIST_REDIRECTS, pa.Table.from_pylist(rows, schema=t.ARTIST_REDIRECTS.schema))


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Lake]:
    """One in which OLD was merged into NEW after day 15, and one with NEW from the start."""
    merged = told(tmp_path_factory.mktemp("merged"), OLD)
    merge(merged, old=NEW)
    return merged, told(tmp_path_factory.mktemp("always"), NEW)


def gold(lake: Lake) -> Iterator[object]:
    """What each room makes of the events."""
    yield features.build_user_features(lake, as_of=AS_OF).fingerprint
    yield features.build_interactions(lake, as_of=AS_OF).fingerprint
    yield load_training_data(lake, as_of=AS_OF).fingerprint
    build_engagement(lake, first=FIRST, last=LAST, k_anonymity=1, releases={})
    yield lake.fingerprint(t.ENGAGEMENT_DAILY)
    build_baselines(lake, first=FIRST, last=LAST, baselines={"2": "trending"}, k_anonymity=1)
    yield lake.fingerprint(t.BASELINES)
    spans = [Span(Phase(Stage.CANARY, "1", "2", 0.5, "first/1", FIRST, FIRST), None)]
    known_until, salt = AS_OF, "first"
    days = {"first": FIRST, "last": LAST, "known_until": known_until}
    build_evidence(lake, spans, salt=salt, holdout_share=0.0, **days)
    yield lake.fingerprint(t.EVIDENCE)
    sample = draw(lake, [LAST - ONE_DAY, LAST], max_users=100)
    yield sample.days.to_csv()
    yield sample.answers.to_csv()


def test_every_room_counts_what_was_recorded_of_the_merged_artist(lakes: tuple[Lake, Lake]) -> None:
    merged, always = lakes

    assert list(gold(merged)) == list(gold(always))


def test_what_was_recorded_stands_as_it_was(lakes: tuple[Lake, Lake]) -> None:
    assert lakes[0].count(t.EVENTS, f"artist_id = '{OLD}'") > 0


def test_days_built_before_the_merge_teach_by_the_artist_of_today(tmp_path: Path) -> None:
    built, fresh = told(tmp_path / "built", OLD), told(tmp_path / "fresh", OLD)
    features.build_interactions(built, as_of=AS_OF)
    for lake in (built, fresh):
        merge(lake, old=NEW)

    found, wanted = (load_training_data(lake, as_of=AS_OF, labels=False) for lake in (built, fresh))

    assert built.count(t.INTERACTIONS, f"artist_id = '{OLD}'") == len(KEYS)
    assert found.artist_ids.tolist() == [NEW, OTHER]
    assert found.confidence.toarray().tolist() == wanted.confidence.toarray().tolist()
    assert (found.taken().toarray()[:, 0] == 1).all()


def test_slates_of_before_the_merge_are_compared_with_the_lists_of_their_morning(
    tmp_path: Path,
) -> None:
    def logged(lake: Lake, artist: str) -> object:
        day = FIRST + ONE_DAY
        rows = [
            {"user_key": key, "as_of": day, "model_version": version, "position": place}
            | {"artist_id": listed, "score": 0.5, "reason": "r"}
            for key in KEYS
            for version in ("1", "2")
            for place, listed in enumerate((artist, OTHER), start=1)
        ]
        lists = pa.Table.from_pylist(rows, schema=t.RECOMMENDATIONS.schema)
        lake.overwrite(t.RECOMMENDATIONS, lists)
        found = slate_log(lake, [Shadowed(day, "1", "2")], length=2, before=AS_OF)
        assert found is not None
        return found.target.tolist(), found.log.clicked.tolist()

    merged = told(tmp_path / "merged", OLD)
    merge(merged, old=NEW)

    assert logged(merged, OLD) == logged(told(tmp_path / "always", NEW), NEW)

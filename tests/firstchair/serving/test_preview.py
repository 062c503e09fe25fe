"""The command's list is the API's: same model, arm, exploration, signals of today, fallback."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from firstchair.errors import ModelError
from firstchair.hosts.diskless import Parcels
from firstchair.login.logins import Logins
from firstchair.login.preview import preview
from firstchair.login.signal_feed import SignalFeed
from firstchair.publication.published import open_published
from firstchair.settings import Settings
from firstchair.sources import Tombstone, Tombstones
from tests.firstchair.serving.conftest import ARTISTS, AS_OF, KEY

NOON = datetime.combine(AS_OF, time(12), tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Over the folder that `put_copy` publishes to."""
    return Settings(home=tmp_path, pseudonym_key=KEY.decode(), seed=4)


def api_answer(settings: Settings, user: str, k: int, now: float) -> dict[str, object]:
    """What a worker of the API answers, its own outbox and signals in use."""
    signal_feed = SignalFeed(
        settings.spool / "signals", "worker", events_url=settings.events_url, pseudonym_key=KEY
    )
    signal_feed.step(now)
    published = open_published(settings.published)
    logins = Logins(
        published,
        Parcels("api"),
        pseudonym_key=KEY,
        seed=settings.seed,
        today=signal_feed.today,
        tombstones=Tombstones(settings.forgotten, settings.secret_tombstone_key),
    )
    answer = dict(json.loads(logins.login(user, k, now)))
    del answer["slate_id"]
    return answer


def as_json(settings: Settings, user: str, k: int, now: float) -> dict[str, object]:
    from pydantic_core import to_json

    found = dict(json.loads(to_json(preview(settings, user_id=user, k=k, now=now))))
    assert found.pop("simulated") is False
    return found


@pytest.mark.parametrize("days", [0, 3])
def test_every_user_gets_what_the_api_answers(
    put_copy_matrix: Callable[..., Path], settings: Settings, users: list[str], days: int
) -> None:
    put_copy_matrix()
    now = (NOON + timedelta(days=days)).timestamp()

    for user in (*users, "nobody", "ünïcode 🎵", ""):
        for k in (1, 5):
            assert as_json(settings, user, k, now) == api_answer(settings, user, k, now)


def test_signals_of_today_count_as_they_do_in_the_api(
    put_copy_matrix: Callable[..., Path], settings: Settings, users: list[str]
) -> None:
    put_copy_matrix()
    click = {
        "event_id": "e1",
        "event_type": "follow",
        "occurred_at": (NOON - timedelta(hours=1)).isoformat(),
        "user_id": users[0],
        "source": "app",
        "source_seq": 1,
        "artist_id": ARTISTS[0],
    }
    other = SignalFeed(
        settings.spool / "signals", "other", events_url=settings.events_url, pseudonym_key=KEY
    )
    without = as_json(settings, users[0], 5, NOON.timestamp())
    other.take([json.dumps(click).encode()], NOON.timestamp())

    found = as_json(settings, users[0], 5, NOON.timestamp())

    assert found == api_answer(settings, users[0], 5, NOON.timestamp())
    assert found != without

    tombstones = Tombstones(settings.forgotten, settings.secret_tombstone_key)
    tombstones.put(Tombstone(tombstones.hash_of(users[0]), "one", NOON.isoformat()))

    assert as_json(settings, users[0], 5, NOON.timestamp()) == without
    assert api_answer(settings, users[0], 5, NOON.timestamp()) == without


def test_no_impression_is_written(
    put_copy: Callable[..., Path], settings: Settings, users: list[str]
) -> None:
    put_copy()

    preview(settings, user_id=users[0], k=5, now=NOON.timestamp())

    assert not [path for path in settings.spool.rglob("*") if path.is_file()]
    assert not Path(settings.events_url).exists()


def test_before_anything_is_published_it_says_what_to_run(settings: Settings) -> None:
    with pytest.raises(ModelError, match="firstchair run"):
        preview(settings, user_id="anna", k=3)

"""A catalogue, models of a day, and lists that stand in the table."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cache, partial
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa

from firstchair.definitions.arms import Arms
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import Family, Recommender
from firstchair.privacy import user_key
from firstchair.promotion import Registry
from firstchair.publication import publish
from firstchair.publication.layout import VERSIONS
from firstchair.publication.published import current
from firstchair.publication.writing import point_to
from tests.firstchair.promotion.conftest import registry_at

KEY = b"a test's key"
AS_OF = date(2026, 2, 1)
ARTISTS = [f"a{number:03d}" for number in range(40)]
LENGTH = 20
USERS = [f"user-{number}" for number in range(30)]
CHAMPION, CHALLENGER, TRENDING = "1", "2", "3"
# Nobody is in a stage, and nobody is in the holdout.
ALL_CHAMPION = Arms.without_stage(holdout_salt="first", holdout_share=0.0)


def lists(user: str, as_of: date, artists: list[str], version: str = CHAMPION) -> pa.Table:
    """A user's list as rows of gold/recommendations."""
    rows = {
        "user_key": [user_key(user, KEY)] * len(artists),
        "as_of": [as_of] * len(artists),
        "model_version": [version] * len(artists),
        "position": list(range(1, len(artists) + 1)),
        "artist_id": artists,
        "score": [0.9 - number / 100 for number in range(len(artists))],
        "reason": [f"because you play {artist}" for artist in artists],
    }
    return pa.table(rows, schema=t.RECOMMENDATIONS.schema)


def keep(lake: Lake, user: str, as_of: date, artists: list[str], version: str = CHAMPION) -> None:
    """A user's list in gold/recommendations."""
    lake.append(t.RECOMMENDATIONS, lists(user, as_of, artists, version))


@dataclass(frozen=True)
class Stocked:
    """A catalogue and models of a day, to start from: tests take copies, or read."""

    registry: Registry
    lake: Lake


@pytest.fixture(scope="session")
def stocked(
    new_session_database: Callable[[str], sa.URL],
    mlflow_template: str,
    fitted: dict[Family, Recommender],
    tmp_path_factory: pytest.TempPathFactory,
) -> Stocked:
    """Version 1 is champion (ALS), 2 challenger (XGBoost), 3 trending; there are no lists."""
    folder = tmp_path_factory.mktemp("stocked")
    lake = Lake(str(folder / "lake"))
    registry = registry_at(new_session_database(mlflow_template), folder / "ml")
    unknown = {
        name: pa.nulls(len(ARTISTS), t.ARTISTS.schema.field(name).type)
        for name in t.ARTISTS.schema.names
    }
    known = {
        "artist_id": pa.array(ARTISTS),
        "name": pa.array([f'The "{artist}"s' for artist in ARTISTS]),
    }
    lake.overwrite(t.ARTISTS, pa.table(unknown | known, schema=t.ARTISTS.schema))
    for family in (Family.ALS, Family.XGBOOST, Family.TRENDING):
        registry.register(
            fitted[family], as_of=AS_OF, data_fingerprint="one", metrics={}, seed=1, simulated=False
        )
    registry.set_alias("champion", CHAMPION)
    registry.set_alias("challenger", CHALLENGER)
    return Stocked(registry, lake)


@pytest.fixture
def platform(stocked: Stocked, lake: Lake, new_database: Callable[[str], sa.URL]) -> Registry:
    """A registry and a lake of the test's own, as `stocked`."""
    shutil.copytree(stocked.lake.url, lake.url)
    mlflow = str(sa.make_url(stocked.registry.tracking_uri).database)
    return registry_at(new_database(mlflow), stocked.registry.artifact_root)


def shifted(start: int) -> list[str]:
    """`LENGTH` artists of the catalogue from a place on, going round."""
    return [ARTISTS[(start + number) % len(ARTISTS)] for number in range(LENGTH)]


@pytest.fixture
def users() -> list[str]:
    return USERS


def publish_lists(
    lake: Lake,
    registry: Registry,
    users: list[str],
    root: Path,
    *,
    turn: int = 0,
    arms: Arms = ALL_CHAMPION,
) -> None:
    """Publish lists to some arms; in them every artist of all users is moved on by `turn`."""
    rows = [
        lists(user, AS_OF, artists, version)
        for number, user in enumerate(users)
        for version, artists in (
            (CHAMPION, shifted(number + turn)),
            (CHALLENGER, shifted(number + turn + 10)),
            (TRENDING, shifted(turn)),
        )
    ]
    lake.replace_partition(t.RECOMMENDATIONS, pa.concat_tables(rows), AS_OF)
    publish(lake, registry, as_of=AS_OF, root=root, list_length=LENGTH, arms=arms)


def put_in_matrix(lake: Lake, users: list[str]) -> None:
    """A row of the matrix for each user: user n likes four artists of their number's parity."""
    liked = [
        (user, ARTISTS[number % 2 + 2 * step])
        for number, user in enumerate(users)
        for step in range(4)
    ]
    rows = {
        "user_key": [user_key(user, KEY) for user, _ in liked],
        "artist_id": [artist for _, artist in liked],
        "as_of": [AS_OF] * len(liked),
        "confidence": [2.0] * len(liked),
        "preference": [1] * len(liked),
    }
    fields = t.INTERACTIONS.schema
    empty = {name: pa.nulls(len(liked), fields.field(name).type) for name in fields.names}
    known = {name: pa.array(values) for name, values in rows.items()}
    lake.replace_partition(t.INTERACTIONS, pa.table(empty | known, schema=fields), AS_OF)


@pytest.fixture
def put_out(
    platform: Registry, lake: Lake, users: list[str], tmp_path: Path
) -> Callable[..., Path]:
    """Publish from the test's own platform (`publish_lists`)."""
    root = tmp_path / "published"

    def call(turn: int = 0, arms: Arms = ALL_CHAMPION) -> Path:
        publish_lists(lake, platform, users, root, turn=turn, arms=arms)
        return root

    return call


@pytest.fixture
def put_out_matrix(
    put_out: Callable[..., Path], lake: Lake, users: list[str]
) -> Callable[..., Path]:
    """As `put_out`, with the users' rows of the matrix."""

    def call(turn: int = 0, arms: Arms = ALL_CHAMPION) -> Path:
        put_in_matrix(lake, users)
        return put_out(turn, arms)

    return call


@pytest.fixture(scope="session")
def publication(
    stocked: Stocked, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int, Arms, bool], Path]:
    """What `put_out` or `put_out_matrix` publishes from a `stocked` platform, each made once."""

    @cache
    def made(turn: int, arms: Arms, with_matrix: bool) -> Path:
        folder = tmp_path_factory.mktemp("publication")
        lake = Lake(str(folder / "lake"))
        shutil.copytree(stocked.lake.url, lake.url)
        if with_matrix:
            put_in_matrix(lake, USERS)
        publish_lists(lake, stocked.registry, USERS, folder, turn=turn, arms=arms)
        return folder

    return made


@pytest.fixture
def put_copy(publication: Callable[..., Path], tmp_path: Path) -> Callable[..., Path]:
    """As `put_out`, for tests that read what is published and ask nothing else of the platform."""
    root = tmp_path / "published"

    def call(turn: int = 0, arms: Arms = ALL_CHAMPION, *, with_matrix: bool = False) -> Path:
        return put_there(publication(turn, arms, with_matrix), root)

    return call


@pytest.fixture
def put_copy_matrix(put_copy: Callable[..., Path]) -> Callable[..., Path]:
    """As `put_out_matrix`, for the same tests as `put_copy`."""
    return partial(put_copy, with_matrix=True)


def put_there(made: Path, root: Path) -> Path:
    """Put a copy of what is published in one folder into another one, and point to it."""
    shutil.copytree(made / VERSIONS, root / VERSIONS, dirs_exist_ok=True)
    point_to(root, str(current(made)))
    return root

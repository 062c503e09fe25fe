"""All that fold-ins need is published: factors of the models, rows of the table, track lengths."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from firstchair.errors import ModelError
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.models import Family, Recommender
from firstchair.models.als import ALS
from firstchair.promotion import Registry, Stage
from firstchair.publication.factors import Folding
from firstchair.publication.published import NOBODY, Published, current, open_published
from firstchair.sources import user_key
from tests.firstchair.serving.conftest import ARTISTS, CHALLENGER, CHAMPION, KEY

PutOut = Callable[..., Path]


def folding(published: Published) -> Folding:
    assert published.folding is not None
    return published.folding


def liked(published: Published, user: str) -> list[tuple[str, float]]:
    row = folding(published).row(published.row(bytes.fromhex(user_key(user, KEY))))
    return [
        (published.artist_ids[a], c)
        for a, c in zip(row.artists, row.confidence.tolist(), strict=True)
    ]


def test_a_users_row_is_that_of_the_matrix(put_out_matrix: PutOut) -> None:
    published = open_published(put_out_matrix())

    assert liked(published, "user-4") == [
        ("a000", 2.0),
        ("a002", 2.0),
        ("a004", 2.0),
        ("a006", 2.0),
    ]
    assert liked(published, "user-7") == [
        ("a001", 2.0),
        ("a003", 2.0),
        ("a005", 2.0),
        ("a007", 2.0),
    ]
    assert len(folding(published).row(NOBODY).artists) == 0


def test_factors_are_the_models_own_in_the_order_of_the_catalogue(
    put_out_matrix: PutOut, lake: Lake, fitted: dict[Family, Recommender]
) -> None:
    put_out_matrix()
    with_news = lake.read(t.ARTISTS).to_pylist()
    with_news.insert(0, with_news[0] | {"artist_id": "a0005", "name": None})
    lake.overwrite(t.ARTISTS, pa.Table.from_pylist(with_news, schema=t.ARTISTS.schema))

    published = open_published(put_out_matrix(turn=1))

    als, found = fitted[Family.ALS], folding(published).models[CHAMPION]
    assert isinstance(als, ALS)
    assert found.vectors[[published.number_of(artist) for artist in ARTISTS]] == pytest.approx(
        als.artist_factors
    )
    assert [published.artist_ids[number] for number in found.unknown] == ["a0005"]
    assert found.gram == pytest.approx(als.gram)
    assert found.longest == pytest.approx(np.linalg.norm(als.artist_factors, axis=1).max())


def test_every_als_that_a_role_shows_is_published_and_no_other_family(
    put_out_matrix: PutOut, platform: Registry
) -> None:
    platform.set_stage(CHALLENGER, Stage.CANARY)

    found = folding(open_published(put_out_matrix()))

    assert (set(found.models), found.unknown_user_version) == ({CHAMPION}, CHAMPION)


def test_lengths_of_tracks_are_the_catalogues(put_out_matrix: PutOut, lake: Lake) -> None:
    tracks = [
        {
            "track_id": f"t{number}",
            "artist_id": "a001",
            "title": None,
            "duration_ms": length,
            "released_on": None,
        }
        for number, length in enumerate([180_000, None, 0, 240_000])
    ]
    lake.overwrite(t.TRACKS, pa.Table.from_pylist(tracks, schema=t.TRACKS.schema))

    found = folding(open_published(put_out_matrix()))

    assert [found.length_ms(f"t{number}") for number in range(5)] == [180_000, 0, 0, 240_000, 0]


@pytest.mark.parametrize("file", ["als.1.vectors.npy", "row.confidence.npy"])
def test_harmed_factors_are_refused_with_their_version(put_out_matrix: PutOut, file: str) -> None:
    root = put_out_matrix()
    path = root / "versions" / str(current(root)) / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)

    with pytest.raises(ModelError, match=f"{file} is not what was published"):
        open_published(root)


def test_another_matrix_is_another_version(
    put_out_matrix: PutOut, put_out: PutOut, lake: Lake
) -> None:
    before = current(put_out_matrix())
    again = current(put_out_matrix())
    lake.delete(t.INTERACTIONS, "artist_id = 'a000'")

    after = current(put_out())

    assert before == again != after

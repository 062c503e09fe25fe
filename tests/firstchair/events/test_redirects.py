"""Merged artists: chains are followed; circles and targets that do not exist are named."""

from dataclasses import asdict

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstchair.definitions.checks import CheckState
from firstchair.events import check_redirects
from firstchair.events.redirects import Fault, resolve_redirects
from firstchair.lake import Lake
from firstchair.lake import tables as t

NAMES = "abcdef"
CATALOGUES = st.sets(st.sampled_from(NAMES))
STATED = st.dictionaries(st.sampled_from(NAMES), st.sampled_from([*NAMES, "", "nowhere"]))


def outcome(stated: dict[str, str]) -> dict[str, str | Fault | None]:
    """Where each redirect leads, or why it is not followed; every name but `nowhere` is known."""
    found = resolve_redirects(stated, set(NAMES))
    return {one.artist_id: one.fault or one.redirect_to for one in found}


@pytest.mark.parametrize(
    ("stated", "leads"),
    [
        ({"a": "b"}, {"a": "b"}),
        ({"a": "b", "b": "c", "c": "d"}, {"a": "d", "b": "d", "c": "d"}),
        ({"a": "c", "b": "c"}, {"a": "c", "b": "c"}),
        ({"a": "a", "b": ""}, {}),
        ({"a": "nowhere", "b": "a"}, {"a": Fault.UNKNOWN_ARTIST, "b": "a"}),
        ({"a": "b", "b": "a", "c": "a"}, {"a": Fault.CIRCLE, "b": Fault.CIRCLE, "c": "a"}),
    ],
)
def test_a_redirect_leads_to_the_end_of_its_chain(
    stated: dict[str, str],
    leads: dict[str, str | Fault],
) -> None:
    assert outcome(stated) == leads


@given(CATALOGUES, STATED)
def test_whatever_a_catalogue_says_every_redirect_ends_at_an_artist_who_stays(
    known: set[str], stated: dict[str, str]
) -> None:
    stated = {artist: target for artist, target in stated.items() if artist in known}

    found = resolve_redirects(stated, known)

    merged = {one.artist_id for one in found if one.redirect_to is not None}
    said = {artist for artist, target in stated.items() if target and target != artist}
    assert [one.artist_id for one in found] == sorted(said)
    assert all((one.redirect_to is None) == (one.fault is not None) for one in found)
    assert {one.redirect_to for one in found} - {None} <= known - merged


def test_what_is_not_followed_is_counted_and_named(lake: Lake) -> None:
    stated = {"a": "b", "b": "a", "c": "d", "e": "nowhere"}
    rows = [asdict(one) for one in resolve_redirects(stated, set(NAMES))]
    before = check_redirects(lake)
    table = pa.Table.from_pylist(rows, schema=t.ARTIST_REDIRECTS.schema)
    lake.overwrite(t.ARTIST_REDIRECTS, table)

    found = check_redirects(lake)

    assert before.state is CheckState.NOT_APPLICABLE
    assert found.state is CheckState.FAILS
    assert found.detail == (
        "1 of 4 redirects of artists are followed. These artists stay on their own: "
        "2 redirected in a circle (first: a to b); 1 redirected to an artist that the catalogue "
        "does not hold (first: e to nowhere)."
    )

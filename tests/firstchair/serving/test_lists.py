"""One listener's list, out of lists that stand in the table."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from firstchair.errors import ModelError
from firstchair.lake import Lake
from firstchair.promotion import Registry
from firstchair.serving import ListenerList, list_of
from tests.firstchair.serving.conftest import AS_OF, KEY, keep


@pytest.fixture
def ask(platform: Registry, lake: Lake) -> Callable[..., ListenerList]:
    def call(user: str, k: int = 3) -> ListenerList:
        return list_of(lake, platform, user_id=user, pseudonym_key=KEY, k=k)

    return call


def test_a_user_gets_the_champions_list_in_its_order_with_names(ask: Callable[..., ListenerList], lake: Lake) -> None:
    keep(lake, "anna", AS_OF, ["a007", "a003", "a020", "a001"])
    keep(lake, "anna", AS_OF, ["a011"], version="2")

    listed = ask("anna")

    assert [(i.position, i.artist_id, i.name) for i in listed.items] == [
        (1, "a007", 'The "a007"s'),
        (2, "a003", 'The "a003"s'),
        (3, "a020", 'The "a020"s'),
    ]
    assert (listed.fallback, listed.as_of, listed.model.version) == (None, AS_OF, "1")


def test_a_user_left_out_of_the_newest_lists_gets_the_last_one_and_is_told(
    ask: Callable[..., ListenerList], lake: Lake
) -> None:
    keep(lake, "anna", AS_OF - timedelta(days=1), ["a007"])
    keep(lake, "ben", AS_OF, ["a003"])

    listed = ask("anna")

    assert (listed.fallback, listed.as_of) == ("stale", AS_OF - timedelta(days=1))


def test_a_stranger_gets_what_is_trending(ask: Callable[..., ListenerList], lake: Lake) -> None:
    keep(lake, "anna", AS_OF, ["a007"])

    listed = ask("nobody", k=10)

    assert (listed.fallback, listed.model.name, listed.model.role) == ("cold_start", "trending", "cold_start")
    assert [item.position for item in listed.items] == list(range(1, 11))
    assert all(-1 <= item.score <= 1 and item.reason and item.name for item in listed.items)


def test_without_lists_the_listener_is_not_told_a_story(ask: Callable[..., ListenerList]) -> None:
    with pytest.raises(ModelError, match="No list has been published yet"):
        ask("anna")

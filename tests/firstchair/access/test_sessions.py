"""Sessions: known in every process, over after twelve hours or at signing out, and theirs alone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from firstchair.access.authorizer import Authorizer
from firstchair.access.sessions import LASTS, SESSIONS, Sessions, is_own_form
from firstchair.access.tokens import Tokens

NOW = datetime(2026, 2, 1, 9, tzinfo=UTC)


@pytest.fixture
def url(new_database: Callable[[], sa.URL]) -> sa.URL:
    return new_database()


def sessions_at(url: sa.URL, folder: Path, token: str = "one") -> Sessions:
    return Sessions(Authorizer(Tokens(lambda: token, folder / "tokens.json")), url)


def begun(sessions: Sessions, now: datetime = NOW) -> str:
    cookie = sessions.begin("one", "", now)
    assert isinstance(cookie, str)
    return cookie


def test_a_session_is_known_in_every_process_until_it_ends_in_one(
    url: sa.URL, tmp_path: Path
) -> None:
    one, other = sessions_at(url, tmp_path), sessions_at(url, tmp_path)
    cookie, kept = begun(one), begun(one)

    assert other.open(cookie, NOW) is not None
    other.end(cookie)

    assert one.open(cookie, NOW) is None
    assert one.open(kept, NOW) is not None
    assert sessions_at(url, tmp_path, "another").open(kept, NOW) is None


def test_a_session_is_over_after_its_time_and_is_then_forgotten(
    url: sa.URL, tmp_path: Path
) -> None:
    sessions = sessions_at(url, tmp_path)
    cookie = begun(sessions)

    assert sessions.open(cookie, NOW + LASTS - timedelta(seconds=1)) is not None
    assert sessions.open(cookie, NOW + LASTS) is None
    begun(sessions, NOW + LASTS)
    with sa.create_engine(url, poolclass=sa.pool.NullPool).connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(SESSIONS)) == 1


@pytest.mark.parametrize("cookie", ["", "..", "é.é.é", "0" * 64, "\x00" * 64, "1.2.3"])
def test_a_made_up_cookie_opens_nothing(url: sa.URL, tmp_path: Path, cookie: str) -> None:
    assert sessions_at(url, tmp_path).open(cookie, NOW) is None


def test_the_database_holds_no_cookie_and_no_token(url: sa.URL, tmp_path: Path) -> None:
    cookie = begun(sessions_at(url, tmp_path))

    with sa.create_engine(url, poolclass=sa.pool.NullPool).connect() as connection:
        (row,) = connection.execute(sa.select(SESSIONS))
    assert cookie not in str(row)
    assert "'one'" not in str(row)


def test_a_form_of_another_session_is_not_its_own(url: sa.URL, tmp_path: Path) -> None:
    sessions = sessions_at(url, tmp_path)
    mine, yours = (sessions.open(begun(sessions), NOW) for _ in range(2))

    assert mine is not None and yours is not None
    assert is_own_form(mine, mine.form_token)
    assert not is_own_form(mine, yours.form_token)
    assert not is_own_form(mine, "")

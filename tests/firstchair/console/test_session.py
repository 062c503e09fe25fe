"""Sessions: made and checked without being kept, over after twelve hours, and theirs alone."""

from datetime import UTC, datetime, timedelta

from firstchair.console.session import LASTS, Sessions, is_own_form

NOW = datetime(2026, 2, 1, 9, tzinfo=UTC)


def test_a_cookie_opens_its_session_in_every_worker_that_has_the_token() -> None:
    cookie = Sessions("one").cookie(NOW)

    assert Sessions("one").open(cookie, NOW) is not None
    assert Sessions("another").open(cookie, NOW) is None


def test_a_session_is_over_after_its_time() -> None:
    sessions = Sessions("one")
    cookie = sessions.cookie(NOW)

    assert sessions.open(cookie, NOW + LASTS - timedelta(seconds=1)) is not None
    assert sessions.open(cookie, NOW + LASTS) is None


def test_a_cookie_that_was_lengthened_or_made_up_opens_nothing() -> None:
    sessions = Sessions("one")
    expiry, nonce, seal = sessions.cookie(NOW).split(".")

    forged = [
        f"{int(expiry) + 1}.{nonce}.{seal}",
        f"{expiry}.{nonce}.{'0' * 64}",
        "",
        "..",
        "é.é.é",
        seal,
    ]
    assert [sessions.open(cookie, NOW) for cookie in forged] == [None] * len(forged)


def test_a_form_of_another_session_is_not_its_own() -> None:
    sessions = Sessions("one")
    mine, yours = (sessions.open(sessions.cookie(NOW), NOW) for _ in range(2))

    assert mine is not None and yours is not None
    assert is_own_form(mine, mine.form_token)
    assert not is_own_form(mine, yours.form_token)
    assert not is_own_form(mine, "")

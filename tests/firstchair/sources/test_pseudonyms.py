"""The pseudonym of an account, by the contract."""

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from firstchair.sources import user_key


@given(user=st.text(st.characters(codec="utf-8")), key=st.binary(min_size=1))
def test_a_pseudonym_is_the_head_of_the_keyed_hash(user: str, key: bytes) -> None:
    assert user_key(user, key) == hmac.new(key, user.encode(), hashlib.sha256).hexdigest()[:32]


def test_another_key_gives_another_pseudonym() -> None:
    assert user_key("user-ann", b"one") != user_key("user-ann", b"two")

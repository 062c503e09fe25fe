"""The border that a user's key crosses as a keyed hash."""

import hashlib
import hmac

LENGTH = 32


def user_key(user_id: str, key: bytes) -> str:
    """Pseudonym of an account: the first 32 hex characters of HMAC-SHA256(`key`, `user_id`).

    >>> user_key("user-000001", b"secret")
    '1036b827e7a35bd29cb8980eacd5c4f6'
    """
    return hmac.new(key, user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[
        :LENGTH
    ]

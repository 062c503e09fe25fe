"""How a caller shows the token of the interface."""

import hmac


def is_bearer(authorization: bytes, token: bytes) -> bool:
    """Whether a header of that name carries the token, compared in constant time.

    The scheme may be in any case (RFC 9110, section 11.1).
    """
    scheme, _, given = authorization.partition(b" ")
    return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(b" "), token)

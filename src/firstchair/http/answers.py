"""Answers and checks shared by all entry points; refusals are problem documents (RFC 9457)."""

from collections.abc import Iterable, MutableMapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import orjson

from firstchair.access.authorizer import Refusal
from firstchair.login.logins import DEFAULT_K, MAX_K

BEFORE, AFTER = "/v1/users/", "/recommendations"
JSON, PROBLEM = b"application/json", b"application/problem+json"

# HTTP status, media type, body.
Answer = tuple[int, bytes, bytes]


def named_user(path: str) -> str | None:
    """The user in the path of a login; None for any other path."""
    named = (
        path.startswith(BEFORE) and path.endswith(AFTER) and len(path) > len(BEFORE) + len(AFTER)
    )
    return path[len(BEFORE) : -len(AFTER)] if named else None


@lru_cache
def requested_length(query: bytes) -> int | None:
    """`k` of a query string, by default `DEFAULT_K`; None if it is no whole number, 1..`MAX_K`."""
    values = parse_qs(query.decode("latin-1"), keep_blank_values=True).get("k", [str(DEFAULT_K)])
    text = values[-1]
    if (
        len(values) == 1
        and text.isascii()
        and text.isdigit()
        and len(text) <= 3
        and 1 <= int(text) <= MAX_K
    ):
        return int(text)
    return None


def address_of(scope: MutableMapping[str, Any]) -> str:
    """The client's address in an ASGI scope; empty if it has none."""
    client = scope.get("client")
    return client[0] if client else ""


def problem(status_code: int, code: str, title: str, detail: str) -> dict[str, Any]:
    """A fault in the form of RFC 9457; `type` is a stable code."""
    return {
        "type": f"urn:firstchair:{code}",
        "title": title,
        "status": status_code,
        "detail": detail,
    }


def refused(status_code: int, code: str, title: str, detail: str) -> Answer:
    """A fault as an answer."""
    return status_code, PROBLEM, orjson.dumps(problem(status_code, code, title, detail))


def unspooled(error: OSError) -> tuple[int, str, str, str]:
    """Arguments of `refused` for a spool that cannot be written."""
    return (
        503,
        "spool_failed",
        f"Nothing can be spooled: {error.strerror or error}.",
        "Make space on the disk of the spool.",
    )


# Of every answer: it is about one user or for one person, and it is what its type says.
PRIVATE = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
# Of every answer that does not say it otherwise: a document that loads nothing and is framed
# nowhere.
SEALED = (
    *PRIVATE,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)


# What a status says beside its document.
HEADERS_OF = {
    401: {"www-authenticate": "Bearer"},
    403: {"www-authenticate": 'Bearer error="insufficient_scope"'},
    415: {"accept-encoding": "gzip"},
    429: {"retry-after": "1"},
}


@lru_cache
def headers_of(status_code: int, kind: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of an answer, except for its length."""
    more = HEADERS_OF.get(status_code, {}).items()
    return (
        (b"content-type", kind),
        *((name.encode(), value.encode()) for name, value in more),
        *PRIVATE,
    )


def sealed(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers with those of `SEALED` that they do not set themselves."""
    own = list(headers)
    names = {name.lower() for name, _ in own}
    return own + [pair for pair in SEALED if pair[0] not in names]


# Arguments of `refused` for requests whose token is missing, wrong or not enough.
REFUSED = {
    Refusal.NO_TOKEN: (
        401,
        "unauthorized",
        "A bearer token is needed.",
        "Send the api_token, or a token of `firstchair token add`.",
    ),
    Refusal.TOO_MANY_WRONG: (
        429,
        "too_many_wrong_tokens",
        "This address sent too many wrong tokens.",
        "Send a valid one, or wait a second.",
    ),
    Refusal.NO_SCOPE: (
        403,
        "forbidden",
        "The token's scopes do not include this.",
        "Use a token with the scope; `firstchair token list` shows which have it.",
    ),
}
NOT_ALLOWED = {refusal: refused(*arguments) for refusal, arguments in REFUSED.items()}
MISDIRECTED = refused(
    421,
    "misdirected",
    "This service has another name.",
    "Ask it under a name of allowed_hosts, or add this one to that setting.",
)
OUT_OF_RANGE = refused(
    422, "out_of_range", f"k is no whole number from 1 to {MAX_K}.", "Send k in that range."
)
NOT_PUBLISHED = refused(
    503, "not_published", "Nothing has been published yet.", "Run `firstchair run`."
)
UNFORESEEN = refused(
    500, "unforeseen", "Something failed that nobody foresaw.", "Read the API's log."
)

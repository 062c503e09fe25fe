"""AWS Lambda behind an API Gateway HTTP API (events of format 2.0): a user's recommendations.

There is no lasting disk, so a login waits until its impressions are in the event store
(`diskless`). Lists are read from `{home}/published`, a file system that the function mounts.
"""

import time
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote

from firstchair.access.authorizer import Authorizer, Refusal
from firstchair.access.scopes import Scope
from firstchair.access.tokens import Tokens
from firstchair.errors import SettingsError, SourceError
from firstchair.hosts.diskless import Diskless, config_of
from firstchair.http.answers import (
    AFTER,
    BEFORE,
    JSON,
    NOT_ALLOWED,
    NOT_PUBLISHED,
    OUT_OF_RANGE,
    Answer,
    named_user,
    refused,
    requested_length,
)
from firstchair.settings import load_settings

NOT_FOUND = refused(
    404, "not_found", "There is no such page.", f"Send GET {BEFORE}{{user_id}}{AFTER}."
)


class LambdaLogins:
    """Answers events of the gateway, one at a time, as Lambda sends them."""

    def __init__(self, diskless: Diskless, *, tokens: Tokens) -> None:
        self.diskless = diskless
        self._authorizer = Authorizer(tokens)

    def answer(self, event: Mapping[str, Any], now: float) -> dict[str, Any]:
        """The response (format 2.0) to one event; for HEAD it has no body, and no slate is made."""
        status_code, media_type, body = self._answer(event, now)
        body = b"" if event["requestContext"]["http"]["method"] == "HEAD" else body
        headers = {"content-type": media_type.decode()}
        return {
            "statusCode": status_code,
            "headers": headers,
            "body": body.decode(),
            "isBase64Encoded": False,
        }

    def _answer(self, event: Mapping[str, Any], now: float) -> Answer:
        user_id = _user_id(event)
        if user_id is None:
            return NOT_FOUND
        headers = {
            name.lower(): value.encode() for name, value in (event.get("headers") or {}).items()
        }
        address = event["requestContext"]["http"].get("sourceIp", "")
        found = self._authorizer.of_header(headers.get("authorization", b""), address, Scope.READ)
        if isinstance(found, Refusal):
            return NOT_ALLOWED[found]
        k = requested_length(event.get("rawQueryString", "").encode())
        if k is None:
            return OUT_OF_RANGE
        self.diskless.reload()
        if event["requestContext"]["http"]["method"] == "HEAD":
            return NOT_PUBLISHED if self.diskless.logins is None else (200, JSON, b"")
        return self._login(user_id, k, now, headers.get("idempotency-key", b""))

    def _login(self, user_id: str, k: int, now: float, request: bytes) -> Answer:
        made = self.diskless.login([user_id], k=k, now=now, request=request)
        if made is None:
            return NOT_PUBLISHED
        (body,), parcel = made
        try:
            self.diskless.deliver(parcel)
        except SourceError as error:
            return refused(503, error.code, error.what, f"{error.data} {error.remedy}")
        return 200, JSON, body


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Answer one event; Lambda calls this function."""
    return _function().answer(event, time.time())


@cache
def _function() -> LambdaLogins:
    """The logins of this execution environment, made once from the settings."""
    settings = load_settings()
    if not settings.api_token.get_secret_value():
        raise SettingsError(
            "api_token is not set, and nothing can be kept here.",
            where="FIRSTCHAIR_API_TOKEN",
            data="Nothing was read or written.",
            remedy="Set it to the token that clients send.",
        )
    diskless = Diskless(config_of(settings, published=settings.published), prefix="lambda")
    return LambdaLogins(diskless, tokens=Tokens.of(settings))


def _user_id(event: Mapping[str, Any]) -> str | None:
    """The user of a login's path, as the gateway decoded it if its route names `{user_id}`."""
    context = event["requestContext"]
    path: str = event["rawPath"]
    stage = f"/{context.get('stage', '$default')}"
    if stage != "/$default" and path.startswith(f"{stage}/"):
        path = path[len(stage) :]
    found = named_user(path)
    if context["http"]["method"] not in {"GET", "HEAD"} or found is None:
        return None
    named: str | None = (event.get("pathParameters") or {}).get("user_id")
    return unquote(found) if named is None else named

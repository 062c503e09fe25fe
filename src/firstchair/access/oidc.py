"""Signing in by an identity provider: OpenID Connect, the authorization code flow with PKCE.

Sources: OpenID Connect Core 1.0, section 3.1; PKCE, RFC 7636; the issuer in the answer, RFC 9207.
What a sign-in has to remember between going to the provider and coming back is in a signed cookie,
so that any process may answer. What asks the provider is imported where it is asked: a service
without one does not wait for it.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from firstchair.access.scopes import Scope
from firstchair.errors import SettingsError, SourceError
from firstchair.settings import Settings

if TYPE_CHECKING:
    from joserfc.jwk import KeySet, OctKey
    from joserfc.jwt import JWTClaimsRegistry

DISCOVERY = "/.well-known/openid-configuration"
# Signatures that a provider may use: by a key of its own, not by a secret that it shares.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
# Of our own cookie.
SIGNED_BY = "HS256"
# Seconds from the way to the provider until coming back.
PATIENCE = 600
LEEWAY_SECONDS = 60
TIMEOUT_SECONDS = 10
# The audit log and the ledger keep names; a longer one is no name.
LONGEST_NAME = 200


class Failure(Enum):
    """Why a person who came back from the provider is not signed in."""

    STALE = "the sign-in was begun elsewhere, or too long ago"
    DENIED = "the provider did not sign the person in"
    NOT_PROVEN = "the provider's answer does not prove who the person is"
    NO_ROLE = "no claim of the person is a role here"


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in: the name for the audit log and the ledger, and what they may do."""

    name: str
    scopes: frozenset[Scope]


@dataclass(frozen=True)
class Provider:
    """One provider, as the settings name it; its addresses and keys are read when first needed.

    operators, viewers: values of `role_claim` that make a person one.
    """

    issuer: str
    client_id: str
    client_secret: str
    scopes: str
    name_claim: str
    role_claim: str
    operators: frozenset[str]
    viewers: frozenset[str]
    now: Callable[[], float] = field(default=time.time)

    @classmethod
    def of(cls, settings: Settings) -> "Provider | None":
        """The provider of the settings; None where none is set.

        Raises:
            SettingsError: One is set, and the library for it is not installed.
        """
        if not settings.oidc_issuer:
            return None
        try:
            import joserfc  # noqa: F401
        except ImportError as error:
            raise SettingsError(
                "Signing in by OpenID Connect needs the library joserfc.",
                where="FIRSTCHAIR_OIDC_ISSUER",
                data="No page was served.",
                remedy="Install `firstchair[oidc]`, or leave the setting out.",
            ) from error
        return cls(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret.get_secret_value(),
            scopes=settings.oidc_scopes,
            name_claim=settings.oidc_name_claim,
            role_claim=settings.oidc_role_claim,
            operators=_words(settings.oidc_operators),
            viewers=_words(settings.oidc_viewers),
        )

    def begin(self, back: str, then: str) -> tuple[str, str]:
        """Where to send a person who wants to sign in, and the cookie for their way back.

        Args:
            back: Our address that the provider sends them back to.
            then: Path of the page that they want.

        Raises:
            SourceError: The provider does not answer.
        """
        from joserfc import jwt

        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = hashlib.sha256(verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": back,
            "scope": self.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        kept = {"state": state, "nonce": nonce, "verifier": verifier, "back": back, "then": then}
        until = int(self.now()) + PATIENCE
        cookie = jwt.encode({"alg": SIGNED_BY}, {**kept, "exp": until}, self._own_key)
        address = self._known["authorization_endpoint"]
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}", cookie

    def finish(self, cookie: str, answer: Mapping[str, str]) -> tuple[Person, str] | Failure:
        """The person who came back and the path that they wanted, or why they are not signed in.

        Args:
            cookie: What `begin` gave; empty where there is none.
            answer: Parameters that the provider sent them back with.

        Raises:
            SourceError: The provider does not answer.
        """
        kept = self._kept(cookie)
        if kept is None or not hmac.compare_digest(kept["state"], answer.get("state", "")):
            return Failure.STALE
        if answer.get("iss", self.issuer) != self.issuer:
            return Failure.NOT_PROVEN
        if not (code := answer.get("code", "")):
            return Failure.DENIED
        redeemed = self._redeemed(code, kept)
        claims = redeemed if isinstance(redeemed, Failure) else self._proven(redeemed, kept)
        if isinstance(claims, Failure):
            return claims
        scopes = self._scopes(claims.get(self.role_claim))
        name = str(claims.get(self.name_claim) or claims["sub"])[:LONGEST_NAME]
        return (Person(name, scopes), str(kept["then"])) if scopes else Failure.NO_ROLE

    @cached_property
    def _own_key(self) -> "OctKey":
        """Signs the cookies: known to all processes, and of no use elsewhere."""
        from joserfc.jwk import OctKey

        secret = self.client_secret.encode()
        digest = hmac.new(secret, b"firstchair sign-in cookie", hashlib.sha256)
        return OctKey.import_key(digest.digest())

    def _kept(self, cookie: str) -> dict[str, Any] | None:
        """What the cookie keeps; None if it is not ours or too old."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        required = {name: {"essential": True} for name in ("exp", "state")}
        try:
            kept = jwt.decode(cookie, self._own_key, algorithms=[SIGNED_BY]).claims
            self._claims(required).validate(kept)
        except (JoseError, ValueError):
            return None
        return kept

    def _redeemed(self, code: str, kept: Mapping[str, Any]) -> str | Failure:
        """The identity token for a code."""
        import httpx

        sent = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": kept["back"],
            "code_verifier": kept["verifier"],
        }
        with self._asking():
            found = httpx.post(
                self._known["token_endpoint"],
                data=sent,
                auth=httpx.BasicAuth(self.client_id, self.client_secret),
                headers={"accept": "application/json"},
                timeout=TIMEOUT_SECONDS,
            )
        if found.is_server_error:
            raise self._silent(f"status {found.status_code}")
        try:
            return str(found.raise_for_status().json()["id_token"])
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError):
            return Failure.NOT_PROVEN

    def _proven(self, token: str, kept: Mapping[str, Any]) -> dict[str, Any] | Failure:
        """The claims of an identity token that is this provider's, for us and this sign-in."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        required = {
            "iss": {"essential": True, "value": self.issuer},
            "aud": {"essential": True, "value": self.client_id},
            "nonce": {"essential": True, "value": kept["nonce"]},
            "sub": {"essential": True},
            "exp": {"essential": True},
            "iat": {"essential": True},
        }
        try:
            try:
                claims = jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
            except InvalidKeyIdError:  # the provider has new keys
                self.__dict__.pop("_keys", None)
                claims = jwt.decode(token, self._keys, algorithms=ALGORITHMS).claims
            self._claims(required).validate(claims)
        except (JoseError, ValueError):
            return Failure.NOT_PROVEN
        is_ours = claims.get("azp", self.client_id) == self.client_id
        return claims if is_ours else Failure.NOT_PROVEN

    def _scopes(self, claimed: Any) -> frozenset[Scope]:
        """What a person may do by a claim, which is one value or a list of them."""
        values = {claimed} if isinstance(claimed, str) else set()
        if isinstance(claimed, list):
            values = {value for value in claimed if isinstance(value, str)}
        if values & self.operators:
            return frozenset({Scope.READ, Scope.OPERATE})
        return frozenset({Scope.READ}) if values & self.viewers else frozenset()

    def _claims(self, required: Mapping[str, Any]) -> "JWTClaimsRegistry":
        from joserfc.jwt import JWTClaimsRegistry

        return JWTClaimsRegistry(lambda: int(self.now()), LEEWAY_SECONDS, **required)

    @cached_property
    def _known(self) -> dict[str, Any]:
        """What the provider says of itself."""
        found = self._read(self.issuer.rstrip("/") + DISCOVERY)
        if found.get("issuer") != self.issuer:
            raise self._silent(f"it calls itself {found.get('issuer')!r}")
        needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        if missing := [name for name in needed if not isinstance(found.get(name), str)]:
            raise self._silent(f"it names no {missing[0]}")
        return found

    @cached_property
    def _keys(self) -> "KeySet":
        """The keys that the provider signs with now."""
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        try:
            return KeySet.import_key_set(self._read(self._known["jwks_uri"]))  # type: ignore[arg-type]
        except (JoseError, KeyError, TypeError) as error:
            raise self._silent(f"its keys cannot be read: {error}") from error

    def _read(self, address: str) -> dict[str, Any]:
        import httpx

        with self._asking():
            found = httpx.get(address, timeout=TIMEOUT_SECONDS)
            try:
                read = found.raise_for_status().json()
            except ValueError as error:
                raise self._silent(f"{address} is no JSON") from error
        if not isinstance(read, dict):
            raise self._silent(f"{address} is no object")
        return read

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Raise what a person can act on where the provider does not answer."""
        import httpx

        try:
            yield
        except httpx.HTTPError as error:
            raise self._silent(str(error) or type(error).__name__) from error

    def _silent(self, why: str) -> SourceError:
        return SourceError(
            f"The identity provider {self.issuer} cannot be asked: {why}.",
            where="FIRSTCHAIR_OIDC_ISSUER",
            data="Nobody was signed in.",
            remedy="Correct the setting or wait for the provider, and sign in with a token until "
            "then.",
        )


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())

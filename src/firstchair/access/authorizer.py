"""Whether a request may do what it asks for, by the token that it carries."""

from datetime import UTC, datetime
from enum import Enum

from firstchair.access.limits import WrongTokens
from firstchair.access.scopes import Scope
from firstchair.access.tokens import Grant, Tokens, bearer_of, digest_of

# A shorter token could be guessed. While an address is over its limit, only longer ones are looked
# up, and those that were right from there before: a flood of wrong tokens does not lock out the
# clients that share its address.
UNGUESSABLE_BYTES = 32
MOST_ACCEPTED = 10_000


class Refusal(Enum):
    """Why a request is refused."""

    NO_TOKEN = "no valid token"
    TOO_MANY_WRONG = "too many wrong tokens from this address"
    NO_SCOPE = "the token's scopes do not include this"


class Authorizer:
    """Judges tokens by scope, and counts the wrong ones of each address."""

    def __init__(self, tokens: Tokens, wrong: WrongTokens | None = None) -> None:
        self.tokens = tokens
        self._wrong = wrong or WrongTokens()
        # Address and digest of tokens that were right.
        self._accepted: set[tuple[str, str]] = set()

    def of_header(self, authorization: bytes, address: str, scope: Scope) -> Grant | Refusal:
        """Judge the token of an `Authorization` header.

        Args:
            authorization: Value of the header, empty if there is none.
            address: Of the client, for the limit.
            scope: What the request asks for.
        """
        token = bearer_of(authorization)
        return Refusal.NO_TOKEN if token is None else self.of_token(token, address, scope)

    def of_token(self, token: bytes, address: str, scope: Scope) -> Grant | Refusal:
        """Judge a token; arguments as in `of_header`."""
        is_over, known = self._wrong.is_over(address), (address, digest_of(token))
        grant = None
        if not is_over or len(token) >= UNGUESSABLE_BYTES or known in self._accepted:
            grant = self.tokens.grant_by_digest(known[1], datetime.now(UTC))
        if grant is not None:
            if len(self._accepted) < MOST_ACCEPTED:
                self._accepted.add(known)
            return grant if scope in grant.scopes else Refusal.NO_SCOPE
        self._wrong.count(address)
        return Refusal.TOO_MANY_WRONG if is_over else Refusal.NO_TOKEN

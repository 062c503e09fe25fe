"""A login: whose list, which slate, its impressions on disk, the answer as bytes; no server is waited for."""

import hmac
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256

import orjson

from firstchair.serving.folded_slates import FoldedSlate, folded_slate
from firstchair.serving.publish import SCORE_UNITS
from firstchair.serving.published import Published
from firstchair.serving.slates import COLD_START, Allocation, Slate, make_slate
from firstchair.serving.spool import Outbox
from firstchair.serving.today import Today, unknown_to

DEFAULT_K, MAX_K = 10, 50
DAY_SECONDS = 86_400
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
LATENCY_BOUNDS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01)

_POSITIONS = tuple(b'{"position":%d,' % (place + 1) for place in range(MAX_K))
_SCORES = tuple(b'%.4f,"reason":' % (units / SCORE_UNITS) for units in range(-SCORE_UNITS, SCORE_UNITS + 1))


@dataclass(slots=True)
class Counts:
    """What this process has answered: slates by role and fallback, seconds taken by `LATENCY_BOUNDS`."""

    slates: dict[tuple[str, str], int] = field(default_factory=dict)
    seconds: float = 0.0
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))


def version_of(published: Published, slate: Slate) -> str:
    """Registered version whose list the slate is of."""
    return published.roles["holdback" if slate.fallback == COLD_START else slate.role].version


class Rendered:
    """A published version with what does not change between its answers already written as JSON."""

    def __init__(self, published: Published) -> None:
        self.published = published
        self.as_of = published.as_of.isoformat().encode()
        pairs = zip(published.artist_ids, published.names, strict=True)
        self.artists = [b'"artist_id":%b,"name":%b,"score":' % (orjson.dumps(i), orjson.dumps(n)) for i, n in pairs]
        self.models = {
            role: orjson.dumps({"name": found.family, "version": found.version, "role": role})
            for role, found in published.roles.items()
        }
        trending = published.roles["holdback"]
        self.stranger = orjson.dumps({"name": trending.family, "version": trending.version, "role": COLD_START})

    def answer(self, user_id: str, slate_id: bytes, slate: Slate) -> bytes:
        """The body of the contract, section 7."""
        text, offsets = self.published.reason_text, self.published.reason_offsets
        artists = self.artists
        chance = b',"propensity":%b}' % repr(slate.propensity).encode()
        items = [
            b"%b%b%b%b%b" % (position, artists[a], _SCORES[s + SCORE_UNITS], text[offsets[r] : offsets[r + 1]], chance)
            for position, a, s, r in zip(_POSITIONS, slate.artists, slate.scores, slate.reasons, strict=False)
        ]
        if slate.explored >= 0:
            drawn = b',"propensity":%b}' % repr(slate.explored_propensity).encode()
            items[slate.explored] = items[slate.explored][: -len(chance)] + drawn
        fallback = b"null" if slate.fallback is None else b'"%b"' % slate.fallback.encode()
        model = self.stranger if slate.fallback == COLD_START else self.models[slate.role]
        return b'{"user_id":%b,"slate_id":"%b","as_of":"%b","model":%b,"fallback":%b,"items":[%b]}' % (
            orjson.dumps(user_id),
            slate_id,
            self.as_of,
            model,
            fallback,
            b",".join(items),
        )


class Logins:
    """Answers logins out of what is published and, where `today` is given, with today's signals folded in.

    One for each worker process.
    """

    def __init__(
        self,
        published: Published,
        spool: Outbox,
        *,
        pseudonym_key: bytes,
        seed: int,
        allocation: Allocation,
        today: Today | None = None,
    ) -> None:
        self.rendered = Rendered(published)
        self.spool = spool
        self.seed = seed
        self.allocation = allocation
        self.today = today or Today()
        self.counts = Counts()
        self._key = pseudonym_key
        self._second, self._stamp, self._day = -1, "", date.min

    def serve(self, published: Published) -> None:
        """From the next login on, these lists; an answer is of one version as a whole."""
        self.rendered = Rendered(published)

    def login(self, user_id: str, k: int, now: float, request: bytes = b"") -> bytes:
        """The answer to a login, its impressions in the spool.

        Args:
            user_id: Key of the account table; any text.
            k: 1..`MAX_K`.
            now: Seconds since 1970.
            request: The client's own id of the request; the same one again gives the same slate_id, so a retry is
                no second impression.
        """
        began = time.perf_counter()
        rendered = self.rendered
        user_key = hmac.digest(self._key, user_id.encode("utf-8", "surrogatepass"), "sha256")[:16]
        self._tell_time(now)
        own = self._folded(rendered.published, user_key, k, now) if user_key in self.today.users else None
        if own is not None:
            slate = own.slate
        else:
            day, seed, allocation = self._day, self.seed, self.allocation
            slate = make_slate(rendered.published, user_key, k=k, day=day, seed=seed, allocation=allocation)
        spool, sequence = self.spool, self.spool.sequence
        # A retry after a new signal shows something else, so it is another slate.
        shown = repr(slate.artists).encode() if own is not None else b""
        slate_id = sha256(user_key + request + shown).hexdigest()[:32] if request else f"{spool.source}-{sequence}"
        ids = rendered.published.artist_ids
        line = {
            "slate": {
                "user_id": user_id,
                "slate_id": slate_id,
                "occurred_at": f"{self._stamp}.{int(now % 1 * 1000):03d}Z",
                "source": spool.source,
                "source_seq": sequence,
                "simulated": rendered.published.simulated,
                "model_version": own.version if own is not None else version_of(rendered.published, slate),
                "artist_ids": [ids[artist] for artist in slate.artists],
                "explored": slate.explored,
                "propensity": slate.propensity,
                "explored_propensity": slate.explored_propensity,
            }
        }
        spool.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE), len(slate.artists))
        if own is not None:
            body = own.answer(rendered.published, user_id, slate_id)
        else:
            body = rendered.answer(user_id, slate_id.encode(), slate)
        self._count(slate, time.perf_counter() - began)
        return body

    def _folded(self, published: Published, user_key: bytes, k: int, now: float) -> FoldedSlate | None:
        """The slate of a user with signals; None where the lists know all that he said."""
        since = unknown_to(published.as_of, now)
        new = tuple(signal for signal in self.today.users.get(user_key, ()) if signal.at >= since)
        if not new:
            return None
        day, seed, allocation = self._day, self.seed, self.allocation
        return folded_slate(published, user_key, new, k=k, day=day, seed=seed, allocation=allocation)

    def _tell_time(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._second = second
            self._day = date.fromordinal(EPOCH_ORDINAL + second // DAY_SECONDS)
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))

    def _count(self, slate: Slate, seconds: float) -> None:
        counts, kind = self.counts, (slate.role, slate.fallback or "")
        counts.slates[kind] = counts.slates.get(kind, 0) + 1
        counts.seconds += seconds
        counts.latency[bisect_left(LATENCY_BOUNDS, seconds)] += 1

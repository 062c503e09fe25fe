"""A login: whose list, which slate, its impressions on disk, the answer as bytes; no server is waited for."""

import hmac
import time
from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256

import orjson

from firstchair.serving.publish import SCORE_UNITS
from firstchair.serving.published import Published
from firstchair.serving.slates import COLD_START, Allocation, Slate, make_slate
from firstchair.serving.spool import Outbox

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

    def version(self, slate: Slate) -> str:
        """Registered version whose list the slate is of."""
        return self.published.roles["holdback" if slate.fallback == COLD_START else slate.role].version

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
    """Answers logins out of what is published; one for each worker process."""

    def __init__(
        self, published: Published, spool: Outbox, *, pseudonym_key: bytes, seed: int, allocation: Allocation
    ) -> None:
        self.rendered = Rendered(published)
        self.spool = spool
        self.seed = seed
        self.allocation = allocation
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
        slate = make_slate(rendered.published, user_key, k=k, day=self._day, seed=self.seed, allocation=self.allocation)
        spool, sequence = self.spool, self.spool.sequence
        slate_id = sha256(user_key + request).hexdigest()[:32] if request else f"{spool.source}-{sequence}"
        ids = rendered.published.artist_ids
        line = {
            "slate": {
                "user_id": user_id,
                "slate_id": slate_id,
                "occurred_at": f"{self._stamp}.{int(now % 1 * 1000):03d}Z",
                "source": spool.source,
                "source_seq": sequence,
                "simulated": rendered.published.simulated,
                "model_version": rendered.version(slate),
                "artist_ids": [ids[artist] for artist in slate.artists],
                "explored": slate.explored,
                "propensity": slate.propensity,
                "explored_propensity": slate.explored_propensity,
            }
        }
        spool.append(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE), len(slate.artists))
        body = rendered.answer(user_id, slate_id.encode(), slate)
        self._count(slate, time.perf_counter() - began)
        return body

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

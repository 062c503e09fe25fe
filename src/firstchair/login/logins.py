"""Answers to logins: choose the slate, spool its impressions, return the bytes of the answer.

A login waits for no server.
"""

import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache, partial
from hashlib import sha256

import orjson

from firstchair.login.decision import decide_slate
from firstchair.login.slates import NOT_PUBLISHED, Slate
from firstchair.outbox.spool import Outbox
from firstchair.publication.layout import SCORE_UNITS
from firstchair.publication.published import Published
from firstchair.signals.today import Today
from firstchair.sources import Tombstones

DEFAULT_K, MAX_K = 10, 50
DAY_SECONDS = 86_400
HASHED_AT_ONCE = 64
REASONS_HELD = 1 << 16
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
# Signals of a user who was forgotten.
NOTHING = Today()
# Seconds. The last ones are for a machine that cannot keep up, of which the alert rules tell.
LATENCY_BOUNDS = (
    *(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)

# A line of the spool holds the answer as it is sent; `expanded` makes its impressions.
_LINE = b'{"source":"%b","source_seq":%d,"occurred_at":"%b.%03dZ","simulated":%b,"slate":%b}\n'
# Text of each score by the score in its units; negative scores are found by negative indices.
_SCORES = [
    b'%.4f,"reason":' % (units / SCORE_UNITS)
    for units in (*range(SCORE_UNITS + 1), *range(-SCORE_UNITS, 0))
]


@dataclass(slots=True)
class Counts:
    """Counters of this process: slates by role and fallback, latencies by `LATENCY_BOUNDS`."""

    slates: dict[tuple[str, str], int] = field(default_factory=dict)
    seconds: float = 0.0
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BOUNDS) + 1))


class Rendered:
    """A published version, with the constant parts of its answers already rendered as JSON."""

    def __init__(self, published: Published) -> None:
        self.published = published
        self.version = published.version.encode()
        self.simulated = orjson.dumps(published.simulated)
        pairs = zip(
            map(orjson.dumps, published.artist_ids), map(orjson.dumps, published.names), strict=True
        )
        self.artists = [b'"artist_id":%b,"name":%b,"score":' % pair for pair in pairs]
        # Neither refers back to this object: it and its mappings are freed once another is served.
        self.reason = lru_cache(maxsize=REASONS_HELD)(partial(_reason, published))
        self.preface = lru_cache(partial(_preface, published.as_of.isoformat()))

    def answer(self, user_id: bytes, slate_id: bytes, slate: Slate) -> bytes:
        """The body of the answer (contract, section 7); `user_id` is JSON already."""
        shown = slate.artists
        # One join of four parts per item takes half as long as formatting each item.
        parts = [b""] * (4 * len(shown))
        parts[0::4] = _heads(len(shown), slate.propensity)
        if slate.explored >= 0:
            parts[4 * slate.explored] = _head(slate.explored, slate.explored_propensity)
        parts[1::4] = map(self.artists.__getitem__, shown)
        parts[2::4] = map(_SCORES.__getitem__, slate.scores)
        parts[3::4] = map(self.reason, slate.reasons)
        for place, text in slate.texts.items():
            parts[4 * place + 3] = orjson.dumps(text)
        parts.append(b"}]}" if shown else b"]}")
        preface = self.preface(slate.model.family, slate.model.version, slate.role, slate.fallback)
        return b'{"user_id":%b,"slate_id":"%b",%b%b' % (user_id, slate_id, preface, b"".join(parts))


def _reason(published: Published, number: int) -> bytes:
    if number == NOT_PUBLISHED:
        return b""
    offsets = published.reason_offsets
    return published.reason_text[offsets[number] : offsets[number + 1]]


def _preface(as_of: str, family: str, version: str, role: str, fallback: str | None) -> bytes:
    """The JSON between a slate's id and its items."""
    model = orjson.dumps({"name": family, "version": version, "role": role})
    return b'"as_of":"%b","model":%b,"fallback":%b,"items":[' % (
        as_of.encode(),
        model,
        orjson.dumps(fallback),
    )


def _head(place: int, propensity: float) -> bytes:
    """The JSON between the previous item (if any) and the artist of a place."""
    between = b"},{" if place else b"{"
    return b'%b"position":%d,"propensity":%b,' % (between, place + 1, repr(propensity).encode())


@lru_cache
def _heads(count: int, propensity: float) -> tuple[bytes, ...]:
    return tuple(_head(place, propensity) for place in range(count))


def pseudonyms(key: bytes) -> Callable[[bytes], bytes]:
    """A function from an account key's bytes to the first 16 bytes of its HMAC-SHA256 (RFC 2104).

    Both hashes of `key` are computed once. `hmac.digest` is not used because it releases the
    interpreter to another thread in the middle of each login.
    """
    padded = (key if len(key) <= HASHED_AT_ONCE else sha256(key).digest()).ljust(
        HASHED_AT_ONCE, b"\0"
    )
    inner, outer = (sha256(bytes(byte ^ pad for byte in padded)) for pad in (0x36, 0x5C))

    def pseudonym(text: bytes) -> bytes:
        within, around = inner.copy(), outer.copy()
        within.update(text)
        around.update(within.digest())
        return around.digest()[:16]

    return pseudonym


class Logins:
    """Answers logins from the published lists, with today's signals folded in if `today` is given.

    There is one for each worker process.
    """

    def __init__(
        self,
        published: Published,
        spool: Outbox,
        *,
        pseudonym_key: bytes,
        seed: int,
        today: Today | None = None,
        tombstones: Tombstones | None = None,
    ) -> None:
        self.rendered = Rendered(published)
        self.spool = spool
        self.seed = seed
        self.today = today or Today()
        self.tombstones = tombstones
        self.counts = Counts()
        self._pseudonym = pseudonyms(pseudonym_key)
        self._source = spool.source.encode()
        self._second, self._stamp, self._day = -1, b"", date.min

    def serve(self, published: Published) -> None:
        """Use these lists from the next login on; each answer comes from one version as a whole."""
        self.rendered = Rendered(published)

    def login(self, user_id: str, k: int, now: float, request: bytes = b"") -> bytes:
        """Answer a login, and write its impressions to the spool.

        A user who was forgotten is answered as an unknown one, and nothing is written of it.

        Args:
            user_id: Key of the account table; any text.
            k: 1..`MAX_K`.
            now: Seconds since 1970.
            request: The client's own id of the request. The same id again, on the same day and
                lists and without a new signal in between, gives the same slate_id, so a retry makes
                no second impression. Two different slates never share an id.

        Raises:
            OSError: The impressions cannot be spooled; nothing was shown.
        """
        began = time.perf_counter()
        rendered = self.rendered
        user_key = self._pseudonym(user_id.encode("utf-8", "surrogatepass"))
        self._tell_time(now)
        forgotten = self.tombstones is not None and self.tombstones.holds(user_id)
        slate = decide_slate(
            rendered.published,
            NOTHING if forgotten else self.today,
            user_key,
            k=k,
            day=self._day,
            now=now,
            seed=self.seed,
        )
        spool, sequence = self.spool, self.spool.sequence
        slate_id = (
            self._slate_id(rendered, user_key, k, request, slate)
            if request
            else b"%b-%d" % (self._source, sequence)
        )
        body = rendered.answer(orjson.dumps(user_id), slate_id, slate)
        line = _LINE % (
            self._source,
            sequence,
            self._stamp,
            int(now % 1 * 1000),
            rendered.simulated,
            body,
        )
        if not forgotten:
            spool.append(line, len(slate.artists))
        self._count(slate, time.perf_counter() - began)
        return body

    def _slate_id(
        self, rendered: Rendered, user_key: bytes, k: int, request: bytes, slate: Slate
    ) -> bytes:
        """The same id for the same request of a user on this day and these lists."""
        # A retry after a new signal shows another slate, so it gets another id.
        shown = repr(slate.artists).encode()
        parts = (rendered.version, self._stamp[:10], k, user_key, shown, request)
        return sha256(b"%b|%b|%d|%b%b|%b" % parts).hexdigest()[:32].encode()

    def _tell_time(self, now: float) -> None:
        second = int(now)
        if second != self._second:
            self._second = second
            self._day = date.fromordinal(EPOCH_ORDINAL + second // DAY_SECONDS)
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()

    def _count(self, slate: Slate, seconds: float) -> None:
        counts, kind = self.counts, (slate.role, slate.fallback or "")
        counts.slates[kind] = counts.slates.get(kind, 0) + 1
        counts.seconds += seconds
        counts.latency[bisect_left(LATENCY_BOUNDS, seconds)] += 1

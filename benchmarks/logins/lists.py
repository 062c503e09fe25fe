"""Lists with a known answer: a formula gives each user's list, so every answer can be checked.

User u has at position p (from 0) of version v, in the n-th publication, artist (base + n) % artists
with base = 7919 u + 104729 v + p (1 + u % 7); the reason names the publication, so that a mixture
of two would show.
"""

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa

from firstchair.definitions.arms import Arms
from firstchair.lake import Lake, connect
from firstchair.lake import tables as t
from firstchair.models import Explanations, Lists
from firstchair.models.explanations import blank
from firstchair.privacy import user_key
from firstchair.promotion import Registry, Version
from firstchair.publication import PublishReport, publish

# Half of the users see the challenger, one in a hundred what is trending.
ARMS = Arms.without_stage(holdout_salt="first", holdout_share=0.01).in_canary(0.5, salt="first/2")
VERSIONS = {"champion": 1, "challenger": 2, "holdout": 3}


@dataclass(frozen=True)
class Catalogue:
    """How many of what, and the secret of the pseudonyms."""

    users: int
    artists: int
    length: int
    as_of: date
    key: bytes

    def write(self, lake: Lake) -> None:
        """The artists, and an account for each user."""
        names = [f"artist-{number:06d}" for number in range(self.artists)]
        _overwrite(lake, t.ARTISTS, artist_id=names, name=[f"The {name}s" for name in names])
        keys = [user_key(f"user-{number:06d}", self.key) for number in range(self.users)]
        _overwrite(lake, t.USERS, user_key=keys)

    def put_out(self, lake: Lake, root: Path, turn: int) -> tuple[PublishReport, float]:
        """Make and publish the lists of a publication; return the seconds that publishing took."""
        registry = cast(Registry, Registered(self.as_of))
        with connect() as connection:
            connection.execute("set preserve_insertion_order = true")
            keys = [user_key(f"user-{number:06d}", self.key) for number in range(self.users)]
            connection.register("users", pa.table({"u": range(self.users), "user_key": keys}))
            rows = connection.sql(f"""
                select user_key, date '{self.as_of}' as as_of, v::varchar as model_version,
                       (p + 1)::int as position,
                       'artist-' || lpad(((u * 7919 + v * 104729 + p * (1 + u % 7)
                           + {turn}) % {self.artists})
                       ::varchar, 6, '0') as artist_id, (0.99 - p / 100.0)::double as score,
                       'publication {turn}' as reason
                from users, range(1, 4) versions(v), range({self.length}) positions(p)
            """).to_arrow_reader(1 << 20)
            lake.replace_partition(t.RECOMMENDATIONS, rows, self.as_of)
        began = time.perf_counter()
        report = publish(
            lake, registry, as_of=self.as_of, root=root, list_length=self.length, arms=ARMS
        )
        return report, time.perf_counter() - began

    def fault(self, answer: dict[str, Any], turns: range, k: int) -> str | None:
        """Why an answer is not one publication's list with one explored slot; None if it is."""
        user, version = int(answer["user_id"][-6:]), int(answer["model"]["version"])
        if version != VERSIONS[answer["model"]["role"]] or len(answer["items"]) != k:
            return f"{answer['model']} with {len(answer['items'])} items"
        base, step = 7919 * user + 104729 * version, 1 + user % 7
        reasons = {item["reason"] for item in answer["items"]}
        turn = int(answer["items"][0]["reason"].rsplit(" ", 1)[1])
        if len(reasons) != 1 or turn not in turns:
            return f"reasons of {sorted(reasons)}"
        shown = [int(item["artist_id"][-6:]) for item in answer["items"]]
        listed = [(base + place * step + turn) % self.artists for place in range(k)]
        other = [place for place in range(k) if shown[place] != listed[place]]
        chance = [place for place in range(k) if answer["items"][place]["propensity"] < 0.5]
        if len(set(shown)) != k or other != chance or len(other) > 1:
            return f"places {other} are not the list's, places {chance} were given to chance"
        return None


class Registered:
    """Three versions as a registry tells them: the champion, a challenger in canary, trending."""

    def __init__(self, as_of: date) -> None:
        kinds = zip(
            VERSIONS.items(),
            ("als", "xgboost", "trending"),
            ("champion", "canary", "candidate"),
            strict=True,
        )
        self.known = {
            role: Version(str(n), family, as_of, "", stage, "")
            for (role, n), family, stage in kinds
        }

    def alias(self, name: str) -> Version | None:
        """Champion or challenger; nobody was champion before."""
        return self.known.get(str(name))

    def newest(self, as_of: date) -> dict[str, Version]:
        """One a family."""
        return {version.family: version for version in self.known.values()}

    def find(self, number: str) -> Version | None:
        """The version of that number."""
        return next((version for version in self.known.values() if version.version == number), None)

    def load(self, version: Version) -> "FirstArtists":
        """The model of the list that unknown users are shown."""
        return FirstArtists()


class FirstArtists:
    """The catalogue in its own order."""

    def recommend(self, data: object, rows: object, k: int) -> Lists:
        """Artists 0 to k - 1."""
        return Lists(
            np.arange(k, dtype=np.int32)[None, :],
            np.linspace(0.9, 0.1, k, dtype=np.float32)[None, :],
        )

    def explain(self, data: object, rows: object, lists: Lists) -> Explanations:
        """One reason for all."""
        said = blank(lists.artists.shape, [])
        said.sentences[:] = "trending now"
        return said


def _overwrite(lake: Lake, table: t.Table, **known: list[str]) -> None:
    count = len(next(iter(known.values())))
    unknown = {name: pa.nulls(count, table.schema.field(name).type) for name in table.schema.names}
    lake.overwrite(
        table, pa.table(unknown | {name: pa.array(values) for name, values in known.items()})
    )

"""The platform as the service of a simulated world: its users see what the API would show them."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time

import numpy as np

from firstchair.lake import connect
from firstchair.lake import tables as t
from firstchair.login.decision import decide_slate
from firstchair.login.slates import Slate
from firstchair.platform.platform import Platform
from firstchair.privacy import user_key
from firstchair.publication.published import Published, open_published
from firstchair.signals.today import Signal, Today, unknown_to
from firstchair.world import SLATE, Signals, Slates, artist_id, artist_number, track_id, user_id
from firstchair.world.service import Whole


class PlatformService:
    """Slates of the published lists, by the code of logins; call `reload` after each publishing."""

    def __init__(self, platform: Platform, users: int) -> None:
        key = platform.settings.secret_pseudonym_key()
        self.platform = platform
        self.keys = [user_key(user_id(number), key) for number in range(users)]
        self.today = Today()
        self.reload()

    def reload(self) -> None:
        """Use the lists that are published now from the next login on.

        Raises:
            ModelError: Nothing has been published.
        """
        self.published: Published = open_published(self.platform.settings.published)
        self._artists = np.array([artist_number(key) for key in self.published.artist_ids])

    def slates(self, users: Whole, *, day: date, session: int) -> Slates:
        """The slates of one login per user."""
        artists = np.full((len(users), SLATE), -1, dtype=np.int64)
        propensities = np.ones((len(users), SLATE))
        shown = [
            self.shown(int(user), day, fold_in=self.platform.settings.fold_in) for user in users
        ]
        for row, slate in enumerate(shown):
            length = len(slate.artists)
            artists[row, :length] = self._artists[slate.artists]
            propensities[row, :length] = slate.propensity
            if slate.explored >= 0:
                propensities[row, slate.explored] = slate.explored_propensity
        return Slates(
            artists, propensities, [one.model.version for one in shown], [one.role for one in shown]
        )

    def shown(self, user: int, day: date, *, fold_in: bool) -> Slate:
        """What a user sees at a login now, with or without their signals of today folded in."""
        return decide_slate(
            self.published,
            self.today if fold_in else None,
            bytes.fromhex(self.keys[user]),
            k=SLATE,
            day=day,
            now=_midnight(day),
            seed=self.platform.settings.seed,
        )

    def receive(self, signals: Signals, *, day: date) -> None:
        """Take signals into account from the next login on, as if they had been posted."""
        midnight = _midnight(day)
        self.today.forget_before(unknown_to(self.published.as_of, midnight))
        columns = (
            signals.user,
            signals.artist,
            signals.track,
            signals.kind,
            signals.ms,
            signals.ms_played,
        )
        for user, artist, track, kind, ms, played in zip(*columns, strict=True):
            at = midnight + ms / 1000
            track_key = track_id(artist, track) if track >= 0 else ""
            event = f"{user}-{kind}-{artist}-{ms}"
            signal = Signal(event, kind, artist_id(artist), track_key, max(int(played), 0), at)
            self.today.add(bytes.fromhex(self.keys[user]), signal)

    def lists(self) -> Mapping[str, Whole]:
        """The lists of all versions for the published day, including those that no user sees."""
        numbers = {key: number for number, key in enumerate(self.keys)}
        with connect() as connection:
            rows = connection.execute(
                "select model_version, user_key, position, artist_id "
                f"from {self.platform.lake.scan(t.RECOMMENDATIONS)} "
                f"where as_of = date '{self.published.as_of}' and position <= {SLATE}"
            ).df()
        found = {}
        for version, of_version in rows.groupby("model_version"):
            listed = np.full((len(self.keys), SLATE), -1, dtype=np.int64)
            user = of_version["user_key"].map(numbers)
            known = user.notna().to_numpy()
            place = (
                user[known].astype(int).to_numpy(),
                of_version["position"][known].to_numpy() - 1,
            )
            listed[place] = of_version["artist_id"][known].map(artist_number).to_numpy()
            found[str(version)] = listed
        return found


def _midnight(day: date) -> float:
    """Seconds since 1970 at the day's 00:00 UTC."""
    return datetime.combine(day, time.min, tzinfo=UTC).timestamp()

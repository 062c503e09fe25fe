"""The platform as the service of a simulated world: its listeners are shown what the API would show them."""

from collections.abc import Mapping
from datetime import date

import numpy as np

from firstchair.lake import connect
from firstchair.lake import tables as t
from firstchair.operations.platform import Platform
from firstchair.privacy import user_key
from firstchair.serving.published import Published, open_published
from firstchair.serving.slates import Allocation, Slate, make_slate
from firstchair.world import SLATE, Signals, Slates, artist_number, user_id
from firstchair.world.service import Whole


class PlatformService:
    """Slates out of what is published, by the same code as a login's; `reload` after each publishing."""

    def __init__(self, platform: Platform, users: int) -> None:
        settings = platform.settings
        key = settings.secret_pseudonym_key()
        self.platform = platform
        self.keys = [user_key(user_id(number), key) for number in range(users)]
        self.allocation = Allocation(canary_share=settings.canary_share, holdback_share=settings.holdback_share)
        self.reload()

    def reload(self) -> None:
        """From the next login on, what is published now.

        Raises:
            ModelError: Nothing has been published.
        """
        self.published: Published = open_published(self.platform.settings.published)
        self._artists = np.array([artist_number(artist_id) for artist_id in self.published.artist_ids])

    def slates(self, users: Whole, *, day: date, session: int) -> Slates:
        """One login each."""
        artists = np.full((len(users), SLATE), -1, dtype=np.int64)
        propensities = np.ones((len(users), SLATE))
        versions, roles = [], []
        for row, user in enumerate(users):
            slate = self._slate(self.keys[user], day)
            shown = len(slate.artists)
            artists[row, :shown] = self._artists[slate.artists]
            propensities[row, :shown] = slate.propensity
            if slate.explored >= 0:
                propensities[row, slate.explored] = slate.explored_propensity
            roles.append(slate.role)
            versions.append(self.published.roles["holdback" if slate.fallback == "cold_start" else slate.role].version)
        return Slates(artists, propensities, versions, roles)

    def _slate(self, key: str, day: date) -> Slate:
        seed = self.platform.settings.seed
        return make_slate(self.published, bytes.fromhex(key), k=SLATE, day=day, seed=seed, allocation=self.allocation)

    def told(self, signals: Signals, *, day: date) -> None:
        """Nothing is folded in yet."""

    def lists(self) -> Mapping[str, Whole]:
        """Every version's lists of the day that is published, the ones nobody is shown included."""
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
            place = (user[known].astype(int).to_numpy(), of_version["position"][known].to_numpy() - 1)
            listed[place] = of_version["artist_id"][known].map(artist_number).to_numpy()
            found[str(version)] = listed
        return found

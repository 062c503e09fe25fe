"""Effects of a challenger on its users, and faults in the records of a stage."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from firstchair.promotion.audition.behaviour import COUNTRY, DAYS, Behaviour
from firstchair.promotion.experiment.evidence import BEFORE_DAYS, Values

# The segment with 12 % of the users, which some scenarios harm.
HARMED = 3
HEAVY_SHARE = 0.15
LOST_SHARE = 0.06
NOVELTY_UNTIL, NOVELTY_TURNED = 10, 20
MOST_CHANCE = 0.95

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Effect:
    """Effects of the challenger relative to the champion, and faults of the records.

    Attributes:
        clicks: Clicks of all users.
        listen_through: Expected share of a track that is heard, of all users.
        segment_clicks: Clicks of the users in the harmed segment instead.
        heavy_clicks: Clicks of the `HEAVY_SHARE` of users with most impressions instead.
        later_clicks: Value that `clicks` changes to between day 10 and day 20.
        active_days: Active days of every day of the stage alike, 0 or less.
        leaving: Active days over all days of the stage together, 0 or less, by users who leave for
            good on any day of it, so that the effect grows from day to day.
        late: Part of the challenger's impressions of the newest days is still missing.
        lost: Some of the challenger's users who click little are missing from the tables.
        account: Impressions that one of the challenger's users has each day, without a click; 0
            for no such account.
        exposure: Share of impressions that are of small artists; None where the evidence does not
            know it.
    """

    clicks: float = 0.0
    listen_through: float = 0.0
    segment_clicks: float | None = None
    heavy_clicks: float | None = None
    later_clicks: float | None = None
    active_days: float = 0.0
    leaving: float = 0.0
    late: bool = False
    lost: bool = False
    account: int = 0
    exposure: float | None = None

    def chances(self, found: Behaviour, treated: Flags) -> npt.NDArray[np.float32]:
        """Chance of a click of each cell, float32 (n_cells,).

        Args:
            found: Behaviour of the users with the champion.
            treated: Users of the challenger, bool (n_users,).
        """
        of_user = np.full(found.users, self.clicks, dtype=np.float32)
        if self.segment_clicks is not None:
            of_user[found.segments[COUNTRY].codes == HARMED] = self.segment_clicks
        if self.heavy_clicks is not None:
            of_user[found.volume >= np.quantile(found.volume, 1 - HEAVY_SHARE)] = self.heavy_clicks
        of_user *= treated
        start = np.searchsorted(found.day, BEFORE_DAYS)
        user = found.user[start:]
        lift = of_user[user]
        if self.later_clicks is not None:
            turned = _turned()[found.day[start:] - BEFORE_DAYS]
            lift += turned * (np.float32(self.later_clicks) * treated[user] - lift)
        chance = found.chance.copy()
        chance[start:] *= 1 + lift
        return np.minimum(chance, np.float32(MOST_CHANCE))

    def remaining(self, rng: np.random.Generator, found: Behaviour, treated: Flags) -> Flags:
        """Cells that are not lost to users who return less, bool (n_cells,)."""
        kept = np.ones(len(found.day), dtype=np.bool_)
        if not self.active_days and not self.leaving:
            return kept
        on_day = (found.day >= BEFORE_DAYS) & treated[found.user]
        if self.active_days:
            kept &= ~on_day | (rng.random(len(on_day)) < 1 + self.active_days)
        if self.leaving:
            left = np.where(
                # By day d = 0, 1, ... a share (d + 1) / DAYS of the leavers is gone.
                rng.random(found.users) < -self.leaving * 2 * DAYS / (DAYS + 1),
                rng.integers(0, DAYS, found.users),
                DAYS,
            )
            kept &= ~on_day | (found.day - BEFORE_DAYS < left[found.user])
        return kept

    def recorded(self, rng: np.random.Generator, found: Behaviour, treated: Flags) -> Flags:
        """Users who reach the tables: all, or all but the lost, bool (n_users,).

        The lost are one in `LOST_SHARE` of the challenger's users, from the half that clicks less.
        """
        if not self.lost:
            return np.ones(found.users, dtype=np.bool_)
        low = treated & (found.rate < np.median(found.rate))
        return np.asarray(~(low & (rng.random(found.users) < 2 * LOST_SHARE)))


def _turned() -> Values:
    """How far clicks have changed to `later_clicks`, 0 to 1 by day of the stage."""
    since = np.arange(DAYS) - NOVELTY_UNTIL
    return np.clip(since / (NOVELTY_TURNED - NOVELTY_UNTIL), 0, 1).astype(np.float32)

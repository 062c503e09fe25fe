"""Covariates: what is known of each user from before a stage."""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from firstchair.definitions.bounds import bounded_parts
from firstchair.definitions.metrics import Metric
from firstchair.evaluation.adjustment import Adjustment, Covariates
from firstchair.promotion.experiment.evidence import BEFORE_DAYS, Codes, Segment, Values, groups_of
from firstchair.promotion.experiment.ratios import pooled
from firstchair.promotion.rules import LiveRules

# A column that varies less, relative to its mean, predicts nothing.
LEAST_SPREAD = 1e-9
# A fit is repeated when its days have grown by this factor.
GROWTH = 1.5


class Forecast:
    """Predictions of each metric from the covariates.

    Any fixed function of the covariates adjusts without bias, so a fit is used again until the
    stage has grown by `GROWTH`.

    Args:
        known: Covariates of the users.
        arm: int8 (n_users,).
    """

    def __init__(self, known: Covariates, arm: npt.NDArray[np.int8]) -> None:
        self._adjustment = Adjustment(known, arm)
        self._fits: dict[Metric, tuple[int, Values]] = {}

    def fit(self, metric: Metric) -> Values | None:
        """The newest fit of a metric, float64 (n_users,); None before the first."""
        return self._fits.get(metric, (0, None))[1]

    def of(self, metric: Metric, y: Values, *, data_days: int) -> Values:
        """Predict a metric, float64 (n_users,), up to a constant.

        Args:
            metric: An earlier fit of it is used again if it is recent enough.
            y: The users' values, NaN for those without one.
            data_days: Days of the stage that the values were measured on.
        """
        days, fit = self._fits.get(metric, (0, None))
        if fit is None or data_days >= GROWTH * days:
            fit = self._adjustment.predicted(y)
            # A fit without users does not count as one.
            self._fits[metric] = (data_days if fit.any() else 0, fit)
        return fit


def facts(
    before: Mapping[str, Values], segments: Mapping[str, Segment], rules: LiveRules
) -> Covariates:
    """Compute the covariates of the users of a stage.

    Every metric is adjusted by the same covariates (`firstchair.evaluation.adjustment`): the rates
    of clicks and of listening, shrunk towards the mean of all users; impressions; active days; and
    each segment value with at least `fact_share` of the users.

    Returns:
        Values of single users, and those of groups of users with the same segments, each with mean
        0 and variance 1 over all users.
    """
    own = np.array([*_rates(before, rules), *_activity(before)])
    first, group = groups_of(segments.values(), own.shape[1])
    shared = np.array([*_parts(segments, first, rules.fact_share)]).reshape(-1, len(first))
    users = np.bincount(group).astype(np.float64)
    return Covariates(_standardised(own, np.ones(len(group))), group, _standardised(shared, users))


def _standardised(values: Values, users: Values) -> Values:
    """Rows that vary over users, with mean 0 and variance 1; each place counts so many users."""
    centred = values - (values @ users / users.sum())[:, None]
    spread = np.sqrt(centred**2 @ users / users.sum())
    varies = spread > LEAST_SPREAD * np.maximum(1.0, np.abs(values).max(axis=1, initial=0.0))
    return np.asarray(centred[varies] / spread[varies, None])


def _rates(before: Mapping[str, Values], rules: LiveRules) -> Iterator[Values]:
    shown, clicks = before["pre_impressions"], before["pre_clicks"]
    for weight in (rules.prior_impressions, rules.prior_impressions_more):
        yield _drawn(clicks, shown, weight, rules)
    prior = rules.prior_plays * rules.usual_track_ms
    yield _drawn(before["pre_ms_played"], before["pre_track_ms"], prior, rules)


def _activity(before: Mapping[str, Values]) -> Iterator[Values]:
    active = before["pre_active_days"] / BEFORE_DAYS
    yield active
    yield active**2
    yield np.log1p(before["pre_impressions"])
    yield (active == 0).astype(np.float64)


def _parts(segments: Mapping[str, Segment], first: Codes, least: float) -> Iterator[Values]:
    """Whether a group has a segment value, 0 or 1, for each value of enough users."""
    for segment in segments.values():
        counts = np.bincount(segment.codes, minlength=len(segment.values))
        for code in np.flatnonzero(counts >= least * len(segment.codes)):
            yield (segment.codes[first] == code).astype(np.float64)


def _drawn(top: Values, bottom: Values, weight: float, rules: LiveRules) -> Values:
    """Each user's ratio, shrunk towards that of all users by `weight` units of the denominator."""
    most = rules.user_weight
    usual = pooled(*bounded_parts(top, bottom, most=most))
    return np.asarray((top + weight * usual) / (bottom + weight))

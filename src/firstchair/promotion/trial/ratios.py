"""Ratios of what users did: of each, and of all together."""

import numpy as np

from firstchair.promotion.trial.evidence import Values


def each_ratio(top: Values, bottom: Values) -> Values:
    """Each user's ratio, float64 (n_users,); NaN where there is nothing to divide by."""
    return np.asarray(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0))


def pooled(top: Values, bottom: Values) -> float:
    """Ratio of the sums over users; 0 where there is nothing to divide by."""
    total = float(bottom.sum())
    return float(top.sum()) / total if total else 0.0

"""The ratio of what all users did together."""

from firstchair.promotion.experiment.evidence import Values


def pooled(top: Values, bottom: Values) -> float:
    """Ratio of the sums over users; 0 where there is nothing to divide by."""
    total = float(bottom.sum())
    return float(top.sum()) / total if total else 0.0

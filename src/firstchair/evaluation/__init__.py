"""Quality of models on unseen days: split by time, full ranking, intervals over users."""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.evaluation.intervals import RelativeInterval, paired_bootstrap
    from firstchair.evaluation.ranking import RankingMetrics, ranking_metrics
    from firstchair.evaluation.split import Split, cutoff_of, load_split

__all__ = [
    "RankingMetrics",
    "RelativeInterval",
    "Split",
    "cutoff_of",
    "load_split",
    "paired_bootstrap",
    "ranking_metrics",
]

__getattr__ = deferred(__name__, __all__, ("intervals", "ranking", "split"))

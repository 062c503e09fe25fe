"""Quality of models on unseen days: split by time, full ranking, intervals over users."""

from firstchair.evaluation.evaluate import Evaluation, evaluate
from firstchair.evaluation.intervals import RelativeInterval, paired_bootstrap
from firstchair.evaluation.ranking import RankingMetrics, ranking_metrics
from firstchair.evaluation.references import POPULARITY
from firstchair.evaluation.split import Split, cutoff_of, load_split

__all__ = [
    "POPULARITY",
    "Evaluation",
    "RankingMetrics",
    "RelativeInterval",
    "Split",
    "cutoff_of",
    "evaluate",
    "load_split",
    "paired_bootstrap",
    "ranking_metrics",
]

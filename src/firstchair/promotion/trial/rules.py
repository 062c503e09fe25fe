"""What is measured of each user, and the steps of a canary."""

from enum import StrEnum

from firstchair.definitions import churn


class Metric(StrEnum):
    """What is measured of each user."""

    CLICKS = "clicks_per_100"
    CLICKS_UNWEIGHTED = "clicks_unweighted"
    LISTEN_THROUGH = "listen_through"
    ACTIVE_DAYS = "active_days"
    CTR_POOLED = "ctr_pooled"
    CHURNED_7 = "churned_7"
    CHURNED_14 = "churned_14"


CHURN_HORIZONS = {Metric(label): days for label, days in churn.LABELS.items()}

"""Names of the assets of a day, by what they are for, in the order in which they are built."""

from firstchair.definitions.source_tables import OTHER_TABLES
from firstchair.models import Family, model_name

# Assets of the account database, and of both sources; they need no day.
ACCOUNTS = ("users", "catalogue", *(table.name for table in OTHER_TABLES))
SOURCES = ("landed_events", *ACCOUNTS)
# Assets built for a range of days in one run, which gives the same tables as day by day (tested).
HISTORY = (
    "silver_events",
    "engagement_daily",
    "engagement_baselines",
    "churn",
    "data_quality",
    "evidence",
)
FEATURES = ("user_features", "interactions")
MODELS = (*(model_name(family) for family in Family), "popularity_reference")
LISTS = ("evidence", "promotion_decision", "recommendations", "published_lists")
MONITORING = ("data_drift", "survival", "overfit", "monitoring_run")
AFTER = LISTS + MONITORING

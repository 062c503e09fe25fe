"""The lists of a day: made for every user, published as files, mapped from there by workers.

The names below are imported at their first use, so that a worker of the API, which only reads what
is published, loads no library that only the batch needs.
"""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.publication.batch import (
        RecommendationsReport,
        add_lists,
        build_recommendations,
    )
    from firstchair.publication.bucket import copy_to, fetch, not_copied
    from firstchair.publication.published import damage, to_serve
    from firstchair.publication.publishing import (
        PublishReport,
        forget_unfinished,
        publish,
        publish_day,
        would_assign,
    )
    from firstchair.publication.served import Served, serves

__all__ = [
    "PublishReport",
    "RecommendationsReport",
    "Served",
    "add_lists",
    "build_recommendations",
    "copy_to",
    "damage",
    "fetch",
    "forget_unfinished",
    "not_copied",
    "publish",
    "publish_day",
    "serves",
    "to_serve",
    "would_assign",
]

__getattr__ = deferred(__name__, __all__, ("served", "published", "bucket", "batch", "publishing"))

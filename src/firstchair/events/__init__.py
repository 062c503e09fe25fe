"""From raw event objects to accepted events, with nothing lost on the way."""

from typing import TYPE_CHECKING

from firstchair.exports import deferred

if TYPE_CHECKING:
    from firstchair.events.acceptance import EventsReport, build_events
    from firstchair.events.calendar import (
        StrayDays,
        days_to_build,
        event_days,
        events_by_day,
        set_aside_strays,
        stray_days,
    )
    from firstchair.events.catalogue import CatalogueReport, build_catalogue
    from firstchair.events.checking import Refusal, parsed_fields, refusals, user_ids
    from firstchair.events.clock import refuse_later_events, require_clock
    from firstchair.events.ingestion import IngestReport, ingest, waiting
    from firstchair.events.masking import allowed_names, kept_extra
    from firstchair.events.personal import MASK, without_shapes
    from firstchair.events.reconciliation import (
        Reconciliation,
        Refused,
        Skipped,
        blocked_days,
        changed_objects,
        reconcile,
        refused,
        refused_of,
        sequence_gaps,
        skipped,
        skipped_of,
        stale_days,
        waiting_days,
    )
    from firstchair.events.redirects import check_redirects
    from firstchair.events.replay import Fates, Tried, Unreadable, fates, replay_quarantine
    from firstchair.events.shares import (
        REFUSED_REMEDY,
        Lost,
        lost_before,
        open_records,
        require_usable,
        unusable,
    )
    from firstchair.events.source_rows import SourceTableReport, build_source_table
    from firstchair.events.vocabulary import EventType, Reason

__all__ = [
    "MASK",
    "REFUSED_REMEDY",
    "CatalogueReport",
    "EventType",
    "EventsReport",
    "Fates",
    "IngestReport",
    "Lost",
    "Reason",
    "Reconciliation",
    "Refusal",
    "Refused",
    "Skipped",
    "SourceTableReport",
    "StrayDays",
    "Tried",
    "Unreadable",
    "allowed_names",
    "blocked_days",
    "build_catalogue",
    "build_events",
    "build_source_table",
    "changed_objects",
    "check_redirects",
    "days_to_build",
    "event_days",
    "events_by_day",
    "fates",
    "ingest",
    "kept_extra",
    "lost_before",
    "open_records",
    "parsed_fields",
    "reconcile",
    "refusals",
    "refuse_later_events",
    "refused",
    "refused_of",
    "replay_quarantine",
    "require_clock",
    "require_usable",
    "sequence_gaps",
    "set_aside_strays",
    "skipped",
    "skipped_of",
    "stale_days",
    "stray_days",
    "unusable",
    "user_ids",
    "waiting",
    "waiting_days",
    "without_shapes",
]

__getattr__ = deferred(
    __name__,
    __all__,
    (
        "vocabulary",
        "personal",
        "calendar",
        "reconciliation",
        "redirects",
        "shares",
        "masking",
        "clock",
        "checking",
        "acceptance",
        "catalogue",
        "ingestion",
        "replay",
        "source_rows",
    ),
)

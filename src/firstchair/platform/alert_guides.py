"""Guides for alerts: the likely cause, the page to look at, and the next step."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guide:
    """The guide of one alert code. page: path in the console without the leading slash."""

    cause: str
    remedy: str
    page: str


UNKNOWN = Guide(
    "It is not known.", "Look at the newest decisions and at the logs in `{home}/logs`.", ""
)
GUIDES: Mapping[str, Guide] = {
    "no_data": Guide(
        "No object has been delivered under the events URL, or all of its records were refused.",
        "Run `firstchair doctor`, then deliver events and run `firstchair run`.",
        "quality",
    ),
    "failed_run": Guide(
        "The step that the alert names met a fault; what was written before it stands.",
        "Read the run in Dagster and mend the cause; it is asked for again by itself, or run "
        "`firstchair run`.",
        "lineage",
    ),
    "silent_sensors": Guide(
        "`firstchair up` or Dagster's daemon has ended, or `alert_sensor` is off or failing.",
        "Start `firstchair up` or the daemon again; what was missed is caught up. If it runs, look "
        "at the ticks of `alert_sensor` in Dagster.",
        "lineage",
    ),
    "mlflow_away": Guide(
        "The server or the database of MLflow is down, or does not take the connection.",
        "Bring it back, or check FIRSTCHAIR_MLFLOW_TRACKING_URI. Published lists are served "
        "meanwhile; nothing is fitted or decided.",
        "",
    ),
    "stray_days": Guide(
        "The clock of a device or of a server is off.",
        "Look at the samples for the source and set its clock; what is in quarantine needs "
        "nothing else.",
        "quality",
    ),
    "changed_objects": Guide(
        "A producer writes to an object again instead of adding a new one.",
        "Deliver the records again in an object with a new name.",
        "quality",
    ),
    "artist_redirects": Guide(
        "An artist was merged into one that was deleted, or two were merged into each other.",
        "Correct `redirect_to` of the named artists in the catalogue; the next reading follows it.",
        "quality",
    ),
    "stale_data": Guide(
        "Deliveries have stopped, or the daily run has.",
        "See whether new objects arrive under the events URL, and whether the daily run of "
        "Dagster succeeded.",
        "quality",
    ),
    "stale_lists": Guide(
        "The run that makes or publishes lists failed or has not run.",
        "Look at the newest run in Dagster, mend its cause, then `firstchair run`.",
        "lineage",
    ),
    "damaged_lists": Guide(
        "The disk is failing, or something other than firstchair wrote to the folder of published "
        "lists.",
        "`firstchair run` or `promotion_sensor` publishes them again; look at the disk's own log.",
        "lineage",
    ),
    "unreadable_events": Guide(
        "A failing disk spoilt lines of the spool.",
        "Have the senders deliver the events of `*.unreadable` in the spool again, replace the "
        "disk, then remove these files.",
        "",
    ),
    "undelivered_events": Guide(
        "The event store is away, the API's credentials for it are no longer valid, or no API "
        "has run since it ended.",
        "Read `{home}/logs/api.log`, mend what it names, and start the API: it delivers what "
        "waits. Until then impressions and clicks are missing in lists and evidence.",
        "",
    ),
    "quarantine_rate": Guide(
        "A producer changed the format of its records, or accounts and catalogue lag behind the "
        "events.",
        "Look at the samples and mend the producer; delivered again, the records are taken in.",
        "quality",
    ),
    "records_unaccounted": Guide(
        "A table was changed by something else than firstchair.",
        "Restore the table from a backup, or read the objects into a new lake.",
        "quality",
    ),
    "unbuilt_days": Guide(
        "The rebuild of days that late events reached does not run, or fails.",
        "Run `firstchair run`, or look in Dagster why `rebuild` does not.",
        "lineage",
    ),
    "sequence_gaps": Guide(
        "Objects are late or were lost on the way.",
        "Ask the named producer to deliver the missing numbers; late records are taken in.",
        "quality",
    ),
    "failed_check": Guide(
        "A producer has stopped, delivers late or has a clock that is off, "
        "or the data are not what the named check expects.",
        "Look at the named check. A day that blocks decisions for what was refused counts again "
        "once that is replayed and the day is rebuilt; a day with late records stays left out, and "
        "a stage lasts that much longer.",
        "quality",
    ),
    "engagement_regression": Guide(
        "No version was released in these days: a change in the app, in who comes, or in the "
        "catalogue.",
        "Compare models and segments over these days, then drift; roll back if the new champion "
        "is at fault.",
        "engagement",
    ),
    "impossible_listening": Guide(
        "A script or a shared key plays in the name of the account, or a client reports plays "
        "again.",
        "Look at the account in the source. Its plays of that day count in no popularity; a block "
        "there ends them.",
        "quality",
    ),
    "busy_accounts": Guide(
        "A script or a shared key acts in the name of the account, or a client reports events "
        "again.",
        "Look at the account in the source. Its weight in every rate is bounded; a block there "
        "ends it.",
        "quality",
    ),
    "sample_ratio": Guide(
        "Users are lost in one arm, or assigned otherwise than planned: the comparison cannot be "
        "trusted.",
        "Find which step drops users and mend it. This stage ends without a promotion on its last "
        "day; the next version of the family is assigned anew.",
        "audition",
    ),
    "refresh_held": Guide(
        "The champion fitted on newer data is not proven to be as good as the one that serves.",
        "Nothing needs to be done at once: the serving version stays. Look at drift if it goes on "
        "for days.",
        "decisions",
    ),
    "rollback": Guide(
        "The champion did harm, or a person removed it.",
        "Read the entry; a version that was rolled back serves again only if a person promotes it.",
        "decisions",
    ),
    "unconfirmed": Guide(
        "The data of probation could not be read for its longest time, or its users were too few.",
        "Look at data quality of these days, and decide by hand whether the champion stays. "
        "`stage_harm_users` says how many users of an arm have to see a list.",
        "decisions",
    ),
    "not_served": Guide(
        "Lists of the challenger were not published or not served on the days of its canary, as "
        "where days are built late.",
        "Look whether each morning's lists are published. The canary goes on once they are shown, "
        "and ends by itself after `stage_max_days` days.",
        "decisions",
    ),
    "version_deleted": Guide(
        "Somebody deleted the version in MLflow's own pages.",
        "A canary ends by itself, and the next version may audition. In place of a champion put "
        "another with `firstchair promote VERSION --reason TEXT`.",
        "decisions",
    ),
    "alias_moved": Guide(
        "Somebody moved an alias in MLflow's own pages.",
        "Nothing: aliases follow the ledger. To change the champion use `firstchair promote`.",
        "decisions",
    ),
}


def guide_of(code: str) -> Guide:
    """The guide of an alert code."""
    return GUIDES.get(code, UNKNOWN)

"""What comes in: event objects, accounts, catalogue."""

import dagster as dg

from dagster_project.checks import FEW_REFUSED, LANDED_ADDS_UP, verdict
from dagster_project.metadata import described
from dagster_project.resources import PlatformResource
from firstchair import events, privacy
from firstchair.definitions.checks import CheckState
from firstchair.definitions.source_tables import OTHER_TABLES, SourceTable
from firstchair.lake.tables import OBJECTS

OWNERS = ["team:data"]


@dg.asset(
    group_name="ingestion",
    owners=OWNERS,
    kinds={"json", "deltalake"},
    check_specs=[LANDED_ADDS_UP, FEW_REFUSED],
)
def landed_events(platform: PlatformResource) -> dg.MaterializeResult:
    """New events in UTC and under pseudonyms, each event_id once; broken ones in quarantine."""
    p = platform.open()
    report = events.ingest(
        p.lake,
        events_url=p.settings.events_url,
        pseudonym_key=p.settings.secret_pseudonym_key(),
        now=p.now,
        tombstones=p.tombstones,
        mapping=p.settings.events.mapping,
        extra_fields=p.settings.kept_extra_fields,
    )
    why = p.unusable(p.now.date())
    checks = [
        verdict(
            LANDED_ADDS_UP,
            report.balanced,
            of=report.read,
            what="new records",
            none=CheckState.NOT_APPLICABLE,
        ),
        verdict(
            FEW_REFUSED, why is None, of=p.lake.count(OBJECTS), what="objects read", why=why or ""
        ),
    ]
    return dg.MaterializeResult(metadata=described(report), check_results=checks)


@dg.asset(group_name="ingestion", owners=OWNERS, kinds={"postgres", "deltalake"})
def users(platform: PlatformResource) -> dg.MaterializeResult:
    """One row a user without PII: pseudonym, age group, city, state; refused ones quarantined."""
    p = platform.open()
    report = privacy.build_users(
        p.lake,
        p.databases.accounts,
        pseudonym_key=p.settings.secret_pseudonym_key(),
        now=p.now,
        tombstones=p.tombstones,
        mapping=p.settings.accounts.mapping.users,
    )
    return dg.MaterializeResult(metadata=described(report))


def _source_table(table: SourceTable) -> dg.AssetsDefinition:
    @dg.asset(
        name=table.name,
        description=table.description,
        group_name="ingestion",
        owners=OWNERS,
        kinds={"postgres", "greatexpectations", "deltalake"},
    )
    def rows(platform: PlatformResource) -> dg.MaterializeResult:
        p = platform.open()
        report = events.build_source_table(p.lake, p.databases.accounts, table, now=p.now)
        return dg.MaterializeResult(metadata=described(report))

    return rows


SOURCE_TABLES = [_source_table(table) for table in OTHER_TABLES]


@dg.asset(
    group_name="ingestion",
    owners=OWNERS,
    kinds={"postgres", "deltalake"},
    deps=[landed_events],  # where the source has no catalogue
)
def catalogue(platform: PlatformResource) -> dg.MaterializeResult:
    """Artists and tracks as the catalogue has them now."""
    p = platform.open()
    return dg.MaterializeResult(
        metadata=described(
            events.build_catalogue(
                p.lake, p.databases.accounts, mapping=p.settings.accounts.mapping
            )
        )
    )

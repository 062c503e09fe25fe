"""Registered candidates, one per family and day on the same data, and the decision on them."""

import dagster as dg

from dagster_project.assets.features import interactions, user_features
from dagster_project.assets.validation import silver_events
from dagster_project.metadata import (
    candidate_metadata,
    cause_of,
    described,
    run_page,
    version_of,
)
from dagster_project.partitions import as_of_of, daily, days_of, one_run
from dagster_project.resources import PlatformResource
from firstchair import promotion
from firstchair.models import FAMILIES, Family, FamilyEntry, model_name

OWNERS = ["team:ml"]


def _model(family: Family, entry: FamilyEntry) -> dg.AssetsDefinition:
    @dg.asset(
        name=model_name(family),
        description=entry.description,
        partitions_def=daily,
        group_name="models",
        owners=OWNERS,
        kinds={"mlflow", *entry.libraries},
        deps=[user_features, interactions],
    )
    def model(
        context: dg.AssetExecutionContext, platform: PlatformResource
    ) -> dg.MaterializeResult:
        p = platform.open()
        candidate = promotion.enter_candidate_if_needed(
            p.lake,
            p.registry,
            p.ledger,
            family=family,
            as_of=as_of_of(context),
            seed=p.settings.seed,
            contenders=p.settings.contending_families,
            training=promotion.Training(cause_of(context), run_page(context, p.settings)),
        )
        return dg.MaterializeResult(
            metadata=candidate_metadata(candidate, p), data_version=version_of(candidate, family)
        )

    return model


FAMILY_MODELS = [_model(family, entry) for family, entry in FAMILIES.items()]


@dg.asset(
    partitions_def=daily,
    group_name="models",
    owners=OWNERS,
    kinds={"python"},
    deps=[user_features, interactions],
)
def popularity_reference(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """Offline evidence of plain popularity: never registered, the baseline of the others."""
    p = platform.open()
    evaluation = promotion.enter_reference(p.lake, as_of=as_of_of(context), seed=p.settings.seed)
    return dg.MaterializeResult(metadata=described(evaluation, **evaluation.metrics))


@dg.asset(
    partitions_def=daily,
    backfill_policy=one_run,
    group_name="models",
    owners=OWNERS,
    kinds={"duckdb", "deltalake"},
    deps=[silver_events, "data_quality"],
)
def evidence(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """What the users of a stage's arms were shown and did on the day: what the gate reads."""
    first, last = days_of(context)
    return dg.MaterializeResult(
        metadata=described(platform.open().build_evidence(first=first, last=last))
    )


@dg.asset(
    partitions_def=daily,
    group_name="models",
    owners=OWNERS,
    kinds={"mlflow", "postgres"},
    deps=[*FAMILY_MODELS, popularity_reference, evidence],
)
def promotion_decision(
    context: dg.AssetExecutionContext, platform: PlatformResource
) -> dg.MaterializeResult:
    """The gate's entries in the ledger for the day, and the aliases that follow from them."""
    p = platform.open()
    report = p.decide(
        as_of=as_of_of(context),
        run_id=context.run_id,
        tick_id=context.run.tags.get("dagster/tick"),
    )
    entries, page = ", ".join(e.decision_id for e in report.entries), p.settings.page("decisions")
    return dg.MaterializeResult(metadata=described(report, ledger_entries=entries, console=page))

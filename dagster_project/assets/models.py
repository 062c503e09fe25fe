"""Who auditions: one registered version a family and day, all on the same data, and the decision between them."""

import dagster as dg

from dagster_project.assets.features import interactions, user_features
from dagster_project.assets.validation import silver_events
from dagster_project.metadata import described
from dagster_project.partitions import as_of_of, daily, days_of, one_run
from dagster_project.resources import PlatformResource
from firstchair import promotion
from firstchair.models import Family

OWNERS = ["team:ml"]


def _model(family: Family, kinds: set[str], description: str) -> dg.AssetsDefinition:
    @dg.asset(
        name=f"{family.replace('-', '_')}_model",
        description=description,
        partitions_def=daily,
        group_name="models",
        owners=OWNERS,
        kinds={"mlflow", *kinds},
        deps=[user_features, interactions],
    )
    def model(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
        p = platform.open()
        candidate = promotion.enter_candidate(
            p.lake, p.registry, family=family, as_of=as_of_of(context), seed=p.settings.seed
        )
        return dg.MaterializeResult(
            metadata=described(
                candidate.version,
                metrics=None,
                mlflow=f"{p.settings.mlflow_address}/#/models/{promotion.NAME}/versions/{candidate.version.version}",
                fitted_now=candidate.fitted_now,
                **candidate.version.metrics,
            ),
            data_version=dg.DataVersion(f"{candidate.version.data_fingerprint}-{family}"),
        )

    return model


als_model = _model(Family.ALS, {"implicit"}, "Champion's family: implicit ALS on the user-item matrix.")
xgboost_model = _model(Family.XGBOOST, {"xgboost"}, "Challenger's family: XGBoost ranker over candidates.")
item_item_model = _model(Family.ITEM_ITEM, {"scipy"}, "Strongest simple model: damped similarities of artists.")
blend_model = _model(Family.BLEND, {"scipy", "implicit"}, "ALS and item-item added, the weight chosen on later days.")
content_model = _model(Family.CONTENT, {"scikitlearn"}, "Baseline: genres and era of what a user plays.")
trending_model = _model(
    Family.TRENDING, {"python"}, "Baseline and fallback: what is played now, by country and age group."
)
random_model = _model(Family.RANDOM, {"python"}, "Baseline: a seeded random list, the floor of every comparison.")
FAMILIES = [
    als_model,
    item_item_model,
    blend_model,
    xgboost_model,
    content_model,
    trending_model,
    random_model,
]


@dg.asset(
    partitions_def=daily, group_name="models", owners=OWNERS, kinds={"python"}, deps=[user_features, interactions]
)
def popularity_reference(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """Offline evidence of plain popularity: never registered, the yardstick of the others."""
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
    return dg.MaterializeResult(metadata=described(platform.open().build_evidence(first=first, last=last)))


@dg.asset(
    partitions_def=daily,
    group_name="models",
    owners=OWNERS,
    kinds={"mlflow", "postgres"},
    deps=[*FAMILIES, popularity_reference, evidence],
)
def promotion_decision(context: dg.AssetExecutionContext, platform: PlatformResource) -> dg.MaterializeResult:
    """The gate's entries in the ledger for the day, and the aliases that follow from them."""
    p = platform.open()
    who = {"run_id": context.run_id, "tick_id": context.run.tags.get("dagster/tick")}
    report = promotion.decide(
        p.lake, p.registry, p.ledger, as_of=as_of_of(context), now=p.now, rule=p.rule, stages=p.stages, **who
    )
    entries, page = ", ".join(e.decision_id for e in report.entries), p.settings.page("decisions")
    return dg.MaterializeResult(metadata=described(report, ledger_entries=entries, console=page))

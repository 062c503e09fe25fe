"""`firstchair evaluate`: a model on a public split; `firstchair tune`: a study on own days."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from firstchair.cli.app import AsJson, app
from firstchair.cli.output import at_work, show, table


class Evaluated(StrEnum):
    """What can be named; the families, and popularity as the reference."""

    ALS = "als"
    ITEM_ITEM = "item-item"
    GRAPH_FILTER = "graph-filter"
    BLEND = "blend"
    CONTENT = "content"
    DECAYED_POPULARITY = "decayed-popularity"
    TRENDING = "trending"
    XGBOOST = "xgboost"
    RANDOM = "random"
    POPULARITY = "popularity"


class ProtocolName(StrEnum):
    """Published evaluations of a data set of their own."""

    YAMBDA = "yambda"


class Tuned(StrEnum):
    """Families with settings of their own."""

    ALS = "als"
    ITEM_ITEM = "item-item"


SplitFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="Each line: user id, then item ids."),
]


@app.command()
def evaluate(
    train: SplitFile = None,
    test: SplitFile = None,
    protocol: Annotated[
        ProtocolName | None,
        typer.Option(help="Split and metrics as a data set's authors published; with --data."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="listens.parquet or likes.parquet of Yambda's flat/."
        ),
    ] = None,
    model: Annotated[Evaluated, typer.Option(help="Family, or `popularity`.")] = Evaluated.ALS,
    k: Annotated[
        int, typer.Option("-k", min=1, help="Length of the lists; a protocol has its own.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Fit a model on a public split and rank the whole catalogue for each test user."""
    if protocol is not None:
        if data is None or train or test:
            raise typer.BadParameter("A protocol splits one file: give --data, no other file.")
        _by_protocol(data, model, as_json=as_json)
        return
    if train is None or test is None or data is not None:
        raise typer.BadParameter("Give --train and --test, or --protocol and --data.")
    from firstchair.evaluation.public import read_public_split
    from firstchair.evaluation.public_models import evaluate_public
    from firstchair.settings import load_settings

    with at_work("evaluate"):
        seed = load_settings().seed
        found = evaluate_public(read_public_split(train, test, seed=seed), model, k=k, seed=seed)
    printed = {
        name: getattr(found, name) for name in found.__dataclass_fields__ if name != "per_user"
    }
    show(printed, as_json=as_json, screen=lambda: _drawn(printed))


def _by_protocol(data: Path, model: str, *, as_json: bool) -> None:
    from firstchair.evaluation.yambda import evaluate_yambda, read_yambda
    from firstchair.settings import load_settings

    with at_work("evaluate"):
        seed = load_settings().seed
        found = evaluate_yambda(read_yambda(data), model, seed=seed)
    printed = {
        name: getattr(found, name) for name in found.__dataclass_fields__ if name != "metrics"
    } | found.metrics
    show(printed, as_json=as_json, screen=lambda: _published(printed))


def _published(found: dict[str, Any]) -> list[RenderableType]:
    apart = ("protocol", "settings", "chosen_by", "events")
    rows = [(name, value) for name, value in found.items() if name not in apart]
    events = ", ".join(f"{count:,} {part}" for part, count in found["events"].items())
    return [
        table(f"{found['model']} by the protocol of {found['protocol']}", ("what", "value"), rows),
        Text(f"Events: {events}. Settings chosen by: {found['chosen_by']}."),
    ]


def _drawn(found: dict[str, Any]) -> list[RenderableType]:
    apart = ("settings", "chosen_by", "formats")
    rows = [(name, value) for name, value in found.items() if name not in apart]
    said = ", ".join(f"{name} {value}" for name, value in found["settings"].items()) or "none"
    title = f"{found['model']}, full ranking, training items excluded"
    train, test = found["formats"]
    read = f"Read as {train}" if train == test else f"Read as {train}; the test file as {test}"
    return [
        table(title, ("what", "value"), rows[1:]),
        Text(f"{read}. Settings: {said}. Chosen by: {found['chosen_by']}."),
    ]


@app.command()
def tune(
    family: Annotated[
        Tuned, typer.Argument(help="als or item-item; the others take their settings from these.")
    ],
    trials: Annotated[
        int, typer.Option(min=1, help="Settings tried; the first are those in use.")
    ] = 20,
    as_json: AsJson = False,
) -> None:
    """Search a family's settings on the platform's own days and log every trial to MLflow."""
    from firstchair.commands.tuning import tune_family
    from firstchair.models import Family
    from firstchair.platform import open_platform

    with at_work("tune") as advance:
        platform = open_platform()
        found = tune_family(
            platform,
            Family(family),
            trials=trials,
            told=lambda trial: advance("", trial.number + 1, trials),
        )
    document = {"as_of": found.as_of, "run_id": found.run_id, **found.study.document()}
    show(
        {**document, "trials": found.study.trials},
        as_json=as_json,
        screen=lambda: [
            _trials(found),
            Text(f"In use: {found.in_use}. Best: {document['settings']}."),
        ],
    )


def _trials(found: Any) -> RenderableType:
    rows = [
        (
            trial.number,
            trial.train_ndcg,
            trial.validation_ndcg,
            ", ".join(f"{n} {v}" for n, v in trial.settings.items()),
        )
        for trial in found.study.trials
    ]
    title = f"{found.study.family} before {found.as_of}, NDCG@20 of {found.study.users} users"
    return table(title, ("trial", "train", "validation", "settings"), rows)

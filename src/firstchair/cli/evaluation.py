"""`firstchair evaluate`: a model on a public split."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.text import Text

from firstchair.cli.app import AsJson, app
from firstchair.cli.output import at_work, show, table
from firstchair.settings import load_settings


class Evaluated(StrEnum):
    """What can be named; the families, and popularity as the reference."""

    ALS = "als"
    ITEM_ITEM = "item-item"
    BLEND = "blend"
    CONTENT = "content"
    TRENDING = "trending"
    XGBOOST = "xgboost"
    RANDOM = "random"
    POPULARITY = "popularity"


SplitFile = Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Each line: user id, then item ids.")]


@app.command()
def evaluate(
    train: SplitFile,
    test: SplitFile,
    model: Annotated[Evaluated, typer.Option(help="Family, or `popularity`.")] = Evaluated.ALS,
    k: Annotated[int, typer.Option("-k", min=1, help="Length of the lists.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Fit a model on a public split and rank the whole catalogue for each test user."""
    from firstchair.evaluation.public import read_public_split
    from firstchair.evaluation.public_models import evaluate_public

    with at_work("evaluate"):
        seed = load_settings().seed
        found = evaluate_public(read_public_split(train, test, seed=seed), model, k=k, seed=seed)
    printed = {name: getattr(found, name) for name in found.__dataclass_fields__ if name != "per_user"}
    show(printed, as_json=as_json, screen=lambda: _drawn(printed))


def _drawn(found: dict[str, Any]) -> list[RenderableType]:
    rows = [(name, value) for name, value in found.items() if name not in ("settings", "chosen_by")]
    said = ", ".join(f"{name} {value}" for name, value in found["settings"].items()) or "none"
    title = f"{found['model']}, full ranking, training items excluded"
    return [table(title, ("what", "value"), rows[1:]), Text(f"Settings: {said}. Chosen by: {found['chosen_by']}.")]

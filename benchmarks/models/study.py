"""Chooses the settings of a data set within its training data and writes them with its figures.

python -m benchmarks.models.study gowalla|hetrec-lastfm
"""

import json
import sys
from pathlib import Path

from benchmarks.models.public_data import SEED, gowalla, hetrec
from firstchair.evaluation.tuning import Study, Trial, tune
from firstchair.models import Family
from firstchair.models.ranker_training import OBJECTIVES

SETTINGS = Path(__file__).parents[2] / "src" / "firstchair" / "models" / "settings"
SPLITS = {"gowalla": gowalla, "hetrec-lastfm": hetrec}
BUDGET = {
    "gowalla": {Family.ALS: 8, Family.ITEM_ITEM: 16},
    "hetrec-lastfm": {Family.ALS: 24, Family.ITEM_ITEM: 24},
}
# implicit's own defaults are where a search begins; item-item's are those of RP3beta as published.
START = {
    Family.ALS: {"factors": 64, "alpha": 1.0, "regularization": 0.1, "iterations": 15},
    Family.ITEM_ITEM: {"user_damping": 1.0, "artist_damping": 1.0, "popularity_damping": 0.5},
}


def main(name: str) -> None:
    split = SPLITS[name]()
    labelled = split.train.labelled
    assert labelled is not None
    studies = [
        tune(labelled, family, start=START[family], trials=trials, seed=SEED, after_trial=show)
        for family, trials in BUDGET[name].items()
    ]
    write(name, split.train.fingerprint, studies)


def show(trial: Trial) -> None:
    print(
        f"{trial.number:3} {trial.validation_ndcg:.4f} {trial.train_ndcg:.4f} "
        f"{trial.seconds:6.1f}s {trial.settings}"
    )


def write(name: str, fingerprint: str, studies: list[Study]) -> None:
    """What was there of other families stays."""
    path = SETTINGS / f"{name}.json"
    known = json.loads(path.read_text())["families"] if path.exists() else {}
    families = known | {study.family: study.document() for study in studies}
    families.setdefault("xgboost", {"settings": {"objective": OBJECTIVES[0]}})
    document = {"data": name, "fingerprint": fingerprint, "families": families}
    path.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])

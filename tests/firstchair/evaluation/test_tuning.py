"""A study: seeded, budgeted, begun with what is in use, and told to MLflow."""

from dataclasses import replace

import numpy as np
import pytest
from mlflow import MlflowClient

from firstchair.errors import EvidenceError, ModelError
from firstchair.evaluation.study_log import log_study
from firstchair.evaluation.tuning import Study, tune
from firstchair.models import Family, LabelledHistory, chosen_settings
from firstchair.promotion import NAME, Registry
from tests.firstchair.models.toys import checkerboard


def labelled() -> LabelledHistory:
    found = checkerboard().labelled
    assert found is not None
    return found


def study(*, seed: int = 1, trials: int = 4, family: Family = Family.ITEM_ITEM) -> Study:
    return tune(labelled(), family, start=chosen_settings(family), trials=trials, seed=seed)


def values(found: Study) -> list[tuple[object, float, float]]:
    return [(trial.settings, trial.train_ndcg, trial.validation_ndcg) for trial in found.trials]


@pytest.mark.parametrize("family", [Family.ALS, Family.ITEM_ITEM])
def test_it_begins_with_the_settings_in_use_and_keeps_to_its_budget(family: Family) -> None:
    found = study(family=family, trials=3)

    assert found.trials[0].settings == chosen_settings(family)
    assert len(found.trials) == 3
    assert found.best.validation_ndcg == max(trial.validation_ndcg for trial in found.trials)


def test_the_same_seed_tries_the_same_settings_with_the_same_outcome() -> None:
    assert values(study()) == values(study())


def test_another_seed_tries_others() -> None:
    assert values(study())[1:] != values(study(seed=2))[1:]


def test_what_is_to_be_found_is_not_seen_by_the_fit() -> None:
    history = labelled()
    hidden = replace(history, positives=history.positives[::-1].tocsr())

    tried = [
        tune(
            given, Family.ITEM_ITEM, start=chosen_settings(Family.ITEM_ITEM), trials=1, seed=1
        ).trials[0]
        for given in (history, hidden)
    ]

    assert tried[0].validation_ndcg > tried[1].validation_ndcg
    assert np.isclose(tried[0].train_ndcg, tried[1].train_ndcg, atol=0.05)


def test_a_family_made_of_parts_has_nothing_to_tune() -> None:
    with pytest.raises(ModelError, match="als, item-item"):
        tune(labelled(), Family.BLEND, start={}, trials=1, seed=1)


def test_the_document_holds_the_best_settings_and_where_the_search_began() -> None:
    found = study()

    document = found.document()

    assert document["settings"] == found.best.settings
    assert document["study"]["began_with"] == round(found.trials[0].validation_ndcg, 4)


def test_mlflow_holds_a_run_for_the_study_and_one_nested_for_each_trial(registry: Registry) -> None:
    found = study(trials=2)
    registry.ensure_experiment()

    run_id = log_study(
        found,
        tracking_uri=registry.tracking_uri,
        experiment=NAME,
        fingerprint="toy",
        simulated=False,
    )

    client = MlflowClient(tracking_uri=registry.tracking_uri)
    experiment = client.get_experiment_by_name(NAME).experiment_id
    nested = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert sorted(run.data.metrics["validation_ndcg"] for run in nested) == pytest.approx(
        sorted(trial.validation_ndcg for trial in found.trials)
    )
    assert client.get_run(run_id).data.params["trials"] == "2"


def test_settings_are_not_judged_by_days_without_a_new_pair_nor_by_what_slates_led_to() -> None:
    history = labelled()
    nothing = replace(history, positives=0 * history.positives)
    nothing.positives.eliminate_zeros()

    for judged in (nothing, replace(history, prompted=history.positives)):
        with pytest.raises(EvidenceError, match="0 of 60 users"):
            tune(
                judged, Family.ITEM_ITEM, start=chosen_settings(Family.ITEM_ITEM), trials=1, seed=1
            )

"""The challenger's family: candidates of several models, ranked by XGBoost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt

from firstchair.definitions.families import Family
from firstchair.models import storage
from firstchair.models.explanations import blank
from firstchair.models.folding import strongest
from firstchair.models.protocol import Explanations, Lists, Rows, TrainingData
from firstchair.models.ranker_features import GROUPS, NAMES, Pairs, PairTable
from firstchair.models.ranker_training import (
    BOOSTER,
    CHUNK,
    MAX_TRAINING_USERS,
    OBJECTIVES,
    Variant,
    as_matrix,
    trained,
)
from firstchair.models.selection import Floats, chunks
from firstchair.models.sources import CANDIDATES_EACH, Sources

# Sources with their own sentences; items of every other group get that of trending.
WITH_SENTENCES = ("als", "item_item", "content", "trending")


@dataclass(frozen=True, slots=True)
class OrderedLists(Lists):
    """Lists with the features of items: float32 (n_users, k, len(NAMES)), NaN for empty ones."""

    features: Floats


class Ranker:
    """Orders candidates by trees that learnt from interactions after an earlier cutoff.

    Its sources are fitted twice: at the earlier cutoff to learn from, and on all data to serve. If
    the history is too short for labels, there are no trees, and the order is that of ALS.
    `objective` is XGBoost's; None tries `OBJECTIVES` and keeps the best on validation users. With a
    `variant`, nothing is tried. At most `training_users` users with labels are drawn. Score:
    2 / (1 + exp(-margin)) - 1, in -1..1.
    """

    family = Family.XGBOOST

    def __init__(
        self,
        *,
        als: Mapping[str, Any] | None = None,
        item_item: Mapping[str, Any] | None = None,
        objective: str | None = None,
        variant: Variant | None = None,
        training_users: int = MAX_TRAINING_USERS,
    ) -> None:
        self.settings = {"als": als, "item_item": item_item}
        self.sources = Sources(**self.settings)
        self.objective, self.training_users = objective, training_users
        self.variant = variant
        self.booster: Any = None
        self.curves: dict[str, tuple[float, ...]] = {}
        self._pairs: PairTable | None = None

    @property
    def artist_ids(self) -> npt.NDArray[np.str_]:
        """The artists of its sources."""
        return np.asarray(self.sources["als"].artist_ids)

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Fit the trees on the labelled history, and the sources on `data`."""
        self._pairs = None
        if data.labelled is not None:
            earlier = Sources(**self.settings).fit(data.labelled.data, seed=seed)
            self.variant, self.booster, curve = trained(
                earlier,
                data.labelled,
                seed=seed,
                objectives=[self.objective] if self.objective else OBJECTIVES,
                variant=self.variant,
                training_users=self.training_users,
            )
            self.curves = {"watched_ndcg_at_20": curve} if curve else {}
        self.sources.fit(data, seed=seed)
        return self

    def recommend(self, data: TrainingData, rows: Rows, k: int) -> OrderedLists:
        """Each user's candidates in the order of the trees, with their features.

        Without trees, the lists are those of ALS, trending for users of whom nothing is known.
        """
        lists = _nothing_listed(len(rows), k)
        if self.booster is None:
            by_als = self.sources["als"].recommend(data, rows, k)
            return OrderedLists(by_als.artists, by_als.scores, lists.features)
        table = self._pairs_of(data)
        for part in chunks(np.arange(len(rows), dtype=np.int64), CHUNK * len(data.artist_ids)):
            pairs = table.of(rows[part], each=max(CANDIDATES_EACH, k))
            _fill(lists, part, pairs, self.scores_of(pairs.features), k)
        return lists

    def score(self, data: TrainingData, rows: Rows) -> Floats:
        """The candidates' scores; -inf for an artist that no source proposes.

        Without trees, those of ALS.
        """
        if self.booster is None:
            return np.asarray(self.sources["als"].score(data, rows), dtype=np.float32)
        scores = np.full((len(rows), len(data.artist_ids)), -np.inf, dtype=np.float32)
        table = self._pairs_of(data)
        for part in chunks(np.arange(len(rows), dtype=np.int64), CHUNK * len(data.artist_ids)):
            pairs = table.of(rows[part])
            scores[part[pairs.user], pairs.column] = self.scores_of(pairs.features)
        return scores

    def _pairs_of(self, data: TrainingData) -> PairTable:
        """Features of all users and artists of `data`, computed once for all calls."""
        if self._pairs is None or self._pairs.data is not data:
            self._pairs = PairTable(self.sources, data)
        return self._pairs

    def scores_of(self, features: Floats) -> Floats:
        """Score of each candidate by its features: float32 (n,), -1..1."""
        if self.booster is None:
            return np.nan_to_num(features[:, NAMES.index("als_score")], nan=-1.0).astype(np.float32)
        margin = self.booster.inplace_predict(features, predict_type="margin")
        return np.asarray(2 / (1 + np.exp(-margin.astype(np.float64))) - 1, dtype=np.float32)

    def explain(self, data: TrainingData, rows: Rows, lists: Lists) -> Explanations:
        """The groups of features that lift an item most, in the words of the source they belong to.

        The lift of a feature is the gain of the margin at the nodes that split by it (Saabas 2014).
        All lifts and a constant add up to the margin, as with Shapley values, fifty times as fast.
        Lists of `recommend` hold their features; for others they are computed again.
        """
        if self.booster is None:
            return cast("Explanations", self.sources["als"].explain(data, rows, lists))
        seen = lists.features if isinstance(lists, OrderedLists) else self._seen(data, rows, lists)
        lifted = blank(lists.artists.shape, list(GROUPS))
        user, slot = np.nonzero(np.isfinite(seen[:, :, NAMES.index("proposed_by")]))
        lifted.parts[user, slot], lifted.amounts[user, slot] = strongest(
            self._lifts(seen[user, slot])
        )
        source_of = np.full(lists.artists.shape, "trending", dtype=object)
        for number, name in enumerate(GROUPS):
            source_of[(lifted.parts[:, :, 0] == number) & (name in WITH_SENTENCES)] = name
        for name in WITH_SENTENCES:
            asked = Lists(
                np.where(source_of == name, lists.artists, -1).astype(np.int32), lists.scores
            )
            sentences = self.sources[name].explain(data, rows, asked).sentences
            lifted.sentences[source_of == name] = sentences[source_of == name]
        lifted.sentences[lists.artists < 0] = ""
        return lifted

    def _seen(self, data: TrainingData, rows: Rows, lists: Lists) -> Floats:
        """Features of listed candidates, as in `OrderedLists`; NaN for other artists."""
        seen = np.full((*lists.artists.shape, len(NAMES)), np.nan, dtype=np.float32)
        table = self._pairs_of(data)
        for part in chunks(np.arange(len(rows), dtype=np.int64), CHUNK * len(data.artist_ids)):
            pairs = table.of(rows[part], each=max(CANDIDATES_EACH, lists.artists.shape[1]))
            slots = np.full((len(part), len(data.artist_ids)), -1, dtype=np.int64)
            row, slot = np.nonzero(lists.artists[part] >= 0)
            slots[row, lists.artists[part][row, slot]] = slot
            where = slots[pairs.user, pairs.column]
            seen[part[pairs.user[where >= 0]], where[where >= 0]] = pairs.features[where >= 0]
        return seen

    def _lifts(self, features: Floats) -> Floats:
        """Sum of the lifts of each group of features by pair: float32 (len(GROUPS), pairs)."""
        added = self.booster.predict(as_matrix(features), pred_contribs=True, approx_contribs=True)
        # XGBoost (3.2.0) gives an array of one dimension where there are no rows.
        added = added.reshape(len(features), len(NAMES) + 1)
        return np.stack(
            [added[:, [NAMES.index(f) for f in group]].sum(axis=1) for group in GROUPS.values()]
        )

    def choices(self) -> dict[str, Any]:
        """Objective and number of trees; {} without labels."""
        return {} if self.variant is None else {"variant": self.variant}

    def parameters(self) -> dict[str, float | int | str]:
        """Hyperparameters by the names of XGBoost, with those chosen on the validation slice."""
        chosen = {"objective": "none", "trees": 0} if self.variant is None else asdict(self.variant)
        return {**BOOSTER, **chosen, "candidates_each": CANDIDATES_EACH}

    def importance(self) -> dict[str, float]:
        """Total gain of each feature that a tree uses, most first; {} without trees."""
        gains = {} if self.booster is None else self.booster.get_score(importance_type="total_gain")
        return {
            name: float(gains[name])
            for name in sorted(gains, key=lambda name: (-gains[name], name))
        }

    def save(self, folder: Path) -> None:
        """Write the trees as UBJ, and the sources in their own folders."""
        facts = {
            "family": self.family,
            "variant": None if self.variant is None else asdict(self.variant),
            "trees": self.booster is not None,
        }
        storage.write(folder, facts, {"format": np.array([storage.FORMAT])})
        self.sources.save(folder)
        if self.booster is not None:
            (folder / "booster.ubj").write_bytes(bytes(self.booster.save_raw(raw_format="ubj")))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        facts, _ = storage.read(folder)
        model = cls()
        model.sources = Sources.load(folder)
        if facts["variant"] is not None:
            model.variant = Variant(**facts["variant"])
        # A fit with settings that were chosen before has none where nothing is left to learn from;
        # files of earlier releases do not say it.
        if facts.get("trees", facts["variant"] is not None):
            import xgboost

            model.booster = xgboost.Booster()
            model.booster.load_model(bytearray((folder / "booster.ubj").read_bytes()))
        return model


def _nothing_listed(count: int, k: int) -> OrderedLists:
    return OrderedLists(
        artists=np.full((count, k), -1, dtype=np.int32),
        scores=np.zeros((count, k), dtype=np.float32),
        features=np.full((count, k, len(NAMES)), np.nan, dtype=np.float32),
    )


def _fill(lists: OrderedLists, part: Rows, pairs: Pairs, scores: Floats, k: int) -> None:
    """Fill each user's list with their best `k` pairs; equal scores in the order of columns."""
    order = np.lexsort((pairs.column, -scores, pairs.user))
    user = pairs.user[order]
    first = np.searchsorted(user, np.arange(len(part)))
    slot = np.arange(len(user)) - first[user]
    kept = slot < k
    lists.artists[part[user[kept]], slot[kept]] = pairs.column[order][kept]
    lists.scores[part[user[kept]], slot[kept]] = scores[order][kept]
    lists.features[part[user[kept]], slot[kept]] = pairs.features[order[kept]]

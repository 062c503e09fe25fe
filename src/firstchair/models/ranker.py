"""The challenger's family: candidates of ALS, content and trending, ranked by XGBoost."""

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from firstchair.models import storage
from firstchair.models.als import ALS
from firstchair.models.content import Content
from firstchair.models.protocol import Family, LabelledHistory, Lists, TrainingData
from firstchair.models.ranker_features import CANDIDATES_EACH, GROUPS, NAMES, Pairs, Sources
from firstchair.models.selection import Floats, Rows, chunks
from firstchair.models.trending import Trending

MAX_TRAINING_USERS = 20_000
HELD_OUT_SHARE = 0.2
MAX_TREES = 200
PATIENCE = 15
BOOSTER: dict[str, Any] = {
    "objective": "rank:ndcg",
    "eval_metric": "ndcg@10",
    "eta": 0.1,
    "max_depth": 5,
    "min_child_weight": 5,
    "subsample": 0.8,
    "colsample_bytree": 0.8,
    "tree_method": "hist",
    "lambdarank_pair_method": "topk",
    "lambdarank_num_pair_per_sample": 20,
    "nthread": 2,
}


class Ranker:
    """Learns from what users took up after an earlier cutoff how to order the candidates of that cutoff.

    Its sources are fitted twice: at the earlier cutoff to learn from, and on the whole data to serve. Where
    the history is too short for labels there is no tree, and the order is that of ALS.
    Score: 2 / (1 + exp(-margin)) - 1, so -1..1.
    """

    family = Family.XGBOOST

    def __init__(self, *, sources: Sources | None = None, booster: Any = None) -> None:
        self.sources = sources
        self.booster = booster

    @property
    def artist_ids(self) -> npt.NDArray[np.str_]:
        """The artists of its sources."""
        return self._fitted().als.artist_ids

    def fit(self, data: TrainingData, *, seed: int) -> Self:
        """Fit the sources on `data`, and the trees on its labelled history."""
        self.sources = Sources.fit(data, seed=seed)
        self.booster = None if data.labelled is None else _trained(data.labelled, seed)
        return self

    def recommend(self, data: TrainingData, rows: Rows, k: int) -> Lists:
        """Each user's candidates in the order of the trees."""
        lists = Lists(np.full((len(rows), k), -1, np.int32), np.zeros((len(rows), k), np.float32))
        for part in chunks(np.arange(len(rows), dtype=np.int64), 8 * len(data.artist_ids)):
            pairs = self._fitted().pairs(data, rows[part], each=max(CANDIDATES_EACH, k))
            _fill(lists, part, pairs, self._scores(pairs), k)
        return lists

    def _fitted(self) -> Sources:
        assert self.sources is not None, "fit or load first"
        return self.sources

    def _scores(self, pairs: Pairs) -> Floats:
        if self.booster is None:
            return np.nan_to_num(pairs.features[:, NAMES.index("als_score")], nan=-1.0).astype(np.float32)
        margin = self.booster.predict(_matrix(pairs.features), output_margin=True)
        return np.asarray(2 / (1 + np.exp(-margin.astype(np.float64))) - 1, dtype=np.float32)

    def reasons(self, data: TrainingData, rows: Rows, lists: Lists) -> npt.NDArray[np.object_]:
        """The sentence of the group of features that lifts an item most: taste, genre, or what is trending."""
        sources = self._fitted()
        told = {
            "als": sources.als.reasons(data, rows, lists),
            "content": sources.content.reasons(data, rows, lists),
        }
        said = sources.trending.reasons(data, rows, lists)
        if self.booster is None:
            return told["als"]
        for part in chunks(np.arange(len(rows), dtype=np.int64), 8 * len(data.artist_ids)):
            pairs = sources.pairs(data, rows[part], each=max(CANDIDATES_EACH, lists.artists.shape[1]))
            user, slot, lifts = self._lifts(pairs, lists, part)
            best_group = np.argmax(np.column_stack([lifts[name] for name in [*GROUPS, "other"]]), axis=1)
            for number, name in enumerate(GROUPS):
                chosen = best_group == number
                said[user[chosen], slot[chosen]] = told[name][user[chosen], slot[chosen]]
        return said

    def _lifts(
        self, pairs: Pairs, lists: Lists, part: Rows
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], dict[str, Floats]]:
        """Row and slot of each listed pair, and what each group of features adds to its margin."""
        slots = np.full((len(part), int(pairs.column.max(initial=0)) + 1), -1, dtype=np.int64)
        row, slot = np.nonzero(lists.artists[part] >= 0)
        slots[row, lists.artists[part][row, slot]] = slot
        where = slots[pairs.user, pairs.column]
        listed = where >= 0
        added = self.booster.predict(_matrix(pairs.features[listed]), pred_contribs=True, approx_contribs=True)
        lifts = {name: added[:, [NAMES.index(f) for f in group]].sum(axis=1) for name, group in GROUPS.items()}
        grouped = {NAMES.index(f) for group in GROUPS.values() for f in group}
        other = [n for n, f in enumerate(NAMES) if n not in grouped and not f.startswith("user_")]
        lifts["other"] = added[:, other].sum(axis=1)
        return part[pairs.user[listed]], where[listed], lifts

    def parameters(self) -> dict[str, float | int | str]:
        """As XGBoost names them, with the number of trees kept."""
        trees = 0 if self.booster is None else self.booster.num_boosted_rounds()
        return {**BOOSTER, "trees": trees, "candidates_each": CANDIDATES_EACH}

    def save(self, folder: Path) -> None:
        """The trees as UBJ, the sources in folders of their own."""
        sources = self._fitted()
        has_trees = self.booster is not None
        storage.write(folder, {"family": self.family, "has_trees": has_trees}, {"format": np.array([storage.FORMAT])})
        for name in ("als", "content", "trending"):
            getattr(sources, name).save(folder / name)
        if has_trees:
            (folder / "booster.ubj").write_bytes(bytes(self.booster.save_raw(raw_format="ubj")))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        facts, _ = storage.read(folder)
        parts = (ALS.load(folder / "als"), Content.load(folder / "content"), Trending.load(folder / "trending"))
        booster = None
        if facts["has_trees"]:
            import xgboost

            booster = xgboost.Booster()
            booster.load_model(bytearray((folder / "booster.ubj").read_bytes()))
        return cls(sources=Sources(*parts), booster=booster)


def _trained(labelled: LabelledHistory, seed: int) -> Any:
    """Trees that order the candidates of the earlier cutoff; None where no candidate was ever taken up."""
    import xgboost

    data, positives = labelled.data, labelled.positives
    rng = np.random.default_rng(seed)
    rows = np.flatnonzero(np.diff(positives.indptr) > 0)
    rows = np.sort(rng.permutation(rows)[:MAX_TRAINING_USERS]).astype(np.int64)
    held_out = rng.random(len(rows)) < HELD_OUT_SHARE
    sources = Sources.fit(data, seed=seed)
    sets = [_labelled_matrix(sources, data, positives, part) for part in (rows[~held_out], rows[held_out])]
    if sets[0] is None:
        return None
    watched = [(matrix, "held_out") for matrix in sets[1:] if matrix is not None]
    booster = xgboost.train(
        {**BOOSTER, "seed": seed % 2**31},
        sets[0],
        num_boost_round=MAX_TREES,
        evals=watched,
        early_stopping_rounds=PATIENCE if watched else None,
        verbose_eval=False,
    )
    return booster[: booster.best_iteration + 1] if watched else booster


def _labelled_matrix(sources: Sources, data: TrainingData, positives: Any, rows: Rows) -> Any:
    """Pairs of the users who took up at least one of their candidates; None where there is no such user."""
    import xgboost

    features, labels, groups = [], [], []
    for part in chunks(rows, 8 * len(data.artist_ids)):
        pairs = sources.pairs(data, part)
        wanted = np.asarray(positives[part].toarray()[pairs.user, pairs.column] > 0)
        told = np.bincount(pairs.user, weights=wanted, minlength=len(part)) > 0
        kept = told[pairs.user]
        features.append(pairs.features[kept])
        labels.append(wanted[kept])
        groups.append(part[pairs.user[kept]])
    if not labels or not np.concatenate(labels).any():
        return None
    return xgboost.DMatrix(
        np.concatenate(features), np.concatenate(labels), qid=np.concatenate(groups), feature_names=list(NAMES)
    )


def _matrix(features: Floats) -> Any:
    import xgboost

    return xgboost.DMatrix(features, feature_names=list(NAMES))


def _fill(lists: Lists, part: Rows, pairs: Pairs, scores: Floats, k: int) -> None:
    """The best `k` pairs of each user into his list; equal scores in the order of columns."""
    order = np.lexsort((pairs.column, -scores, pairs.user))
    user = pairs.user[order]
    first = np.searchsorted(user, np.arange(len(part)))
    slot = np.arange(len(user)) - first[user]
    kept = slot < k
    lists.artists[part[user[kept]], slot[kept]] = pairs.column[order][kept]
    lists.scores[part[user[kept]], slot[kept]] = scores[order][kept]

#!/usr/bin/env bash
# implicit 0.7.3 and RecTools 0.19.0 (PyPI, pinned below): "precision" and "NDCG" of the same lists
# are not the usual ones, and not each other's.
#
# Valid input: ten places shown to two users. One has 20 relevant items, three of them at places 1,
# 3 and 6; the other has two, one of them at place 2. By the usual formulas, as means over users:
# precision@10 .2, NDCG@10 .3977 (ideal: as many relevant items as there are, at most ten).
# - implicit.evaluation.ranking_metrics_at_k: "precision" is all hits over the sum of
#   min(10, relevant items of the user), pooled: (3 + 1) / (10 + 2). Its NDCG is the usual one.
# - rectools.metrics.NDCG with its defaults: the ideal has ten relevant items for everybody, so a
#   user with two can never reach 1. Its precision is the usual one.
# A figure that was published with one of them says nothing about a figure of the other.
#
# Seen (Python 3.11):
#   implicit: precision 0.3333, NDCG 0.3977
#   RecTools: precision 0.2000, NDCG 0.2737
#
# Exits 0 while the packages behave so, 1 with a message when they do not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# RecTools brings a module `implicit` of its own, so each has an environment.
python3 -m venv "$folder/implicit"
"$folder/implicit/bin/pip" install --quiet --disable-pip-version-check \
  implicit==0.7.3 numpy==2.4.6 scipy==1.17.1
python3 -m venv "$folder/rectools"
"$folder/rectools/bin/pip" install --quiet --disable-pip-version-check rectools==0.19.0

cd "$folder"
cat > lists.py <<'PYTHON'
import math

RELEVANT = {0: [*range(20)], 1: [0, 50]}
SHOWN = {
    0: [0, 101, 1, 102, 103, 2, 104, 105, 106, 107],
    1: [101, 0, 102, 103, 104, 105, 106, 107, 108, 109],
}


def gain(places):
    return sum(1 / math.log2(place + 2) for place in places)


def usual():
    hits = {u: [n for n, i in enumerate(SHOWN[u]) if i in RELEVANT[u]] for u in SHOWN}
    precision = sum(len(found) / 10 for found in hits.values()) / 2
    ndcg = sum(gain(hits[u]) / gain(range(min(10, len(RELEVANT[u])))) for u in hits) / 2
    return precision, ndcg
PYTHON
OPENBLAS_NUM_THREADS=1 "$folder/implicit/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from implicit.evaluation import ranking_metrics_at_k

sys.path.insert(0, ".")
from lists import RELEVANT, SHOWN, usual


class Listed:
    """A model that shows the lists above."""

    def recommend(self, users, user_items, N=10, **_):
        lists = np.array([SHOWN[int(user)] for user in users], dtype=np.int32)[:, :N]
        return lists, np.tile(np.arange(N, 0, -1, dtype=np.float32), (len(lists), 1))


pairs = [(user, item) for user, items in RELEVANT.items() for item in items]
users, items = zip(*pairs)
test = sp.csr_matrix((np.ones(len(pairs)), (users, items)), shape=(2, 200))
found = ranking_metrics_at_k(Listed(), sp.csr_matrix((2, 200)), test, K=10, show_progress=False)
precision, ndcg = usual()
print(f"usual: precision {precision:.4f}, NDCG {ndcg:.4f}")
own = f"precision {found['precision']:.4f}, NDCG {found['ndcg']:.4f}"
print(f"implicit {version('implicit')}: {own}")
if abs(found["precision"] - 4 / 12) > 1e-9 or abs(found["ndcg"] - ndcg) > 1e-6:
    sys.exit("implicit's figures are not as described any more.")
PYTHON
"$folder/rectools/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import pandas as pd
from rectools.metrics import NDCG, Precision

sys.path.insert(0, ".")
from lists import RELEVANT, SHOWN, gain, usual

shown = pd.DataFrame(
    [(user, item, n) for user, items in SHOWN.items() for n, item in enumerate(items, 1)],
    columns=["user_id", "item_id", "rank"],
)
relevant = pd.DataFrame(
    [(user, item, 1) for user, items in RELEVANT.items() for item in items],
    columns=["user_id", "item_id", "weight"],
)
found = Precision(10).calc(shown, relevant), NDCG(10).calc(shown, relevant)
print(f"RecTools {version('rectools')}: precision {found[0]:.4f}, NDCG {found[1]:.4f}")
hits = {user: [n for n, i in enumerate(SHOWN[user]) if i in RELEVANT[user]] for user in SHOWN}
of_ten = sum(gain(places) / gain(range(10)) for places in hits.values()) / 2
if abs(found[0] - usual()[0]) > 1e-9 or abs(found[1] - of_ten) > 1e-9:
    sys.exit("RecTools' figures are not as described any more.")
PYTHON

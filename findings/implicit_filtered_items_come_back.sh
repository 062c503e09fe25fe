#!/usr/bin/env bash
# implicit 0.7.3 (PyPI, pinned below): items that `recommend` filters out fill the end of a list
# that would be too short; with item-item models nothing tells them from the others.
#
# Valid input: 61 users and 12 items; one user has taken to all but items 3 and 7, and is asked for
# 6 items with filter_already_liked_items at its default, True. Two are left to recommend. Both
# models answer with six: after 7 and 3 come four that the user has. ALS gives them -3.4e38, the
# least float32. CosineRecommender gives them 0.0, which is also the score of a new item without a
# neighbour in common, so they cannot be told apart by their score.
# Cause: a filter lowers scores (or leaves them out of a sparse row), and the top N are taken after.
#
# Seen (Python 3.11):
#   ALS: items 7 3 and four liked ones, scores of those -3.4028234663852886e+38
#   CosineRecommender: items 7 3 and four liked ones, scores of those 0.0
#
# Exits 0 while the package behaves so, 1 with a message when it does not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  implicit==0.7.3 numpy==2.4.6 scipy==1.17.1

cd "$folder"
OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
from importlib.metadata import version

import numpy as np
import scipy.sparse as sp
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender

LEFT, WANTED = {3, 7}, 6
others = sp.random(60, 12, density=0.4, random_state=0, format="csr", dtype=np.float32)
others.data[:] = 1
own = np.array([[0.0 if item in LEFT else 1.0 for item in range(12)]], dtype=np.float32)
taken = sp.vstack([sp.csr_matrix(own), others]).tocsr()

print("implicit", version("implicit"))
found = {}
for model in (
    AlternatingLeastSquares(factors=4, iterations=3, random_state=0, num_threads=1),
    CosineRecommender(K=3),
):
    model.fit(taken, show_progress=False)
    items, scores = model.recommend(0, taken[0], N=WANTED)
    name = type(model).__name__
    found[name] = [(int(i), float(s)) for i, s in zip(items, scores)]
    print(f"  {name}:", *(f"{item} ({score:.4g})" for item, score in found[name]))


def as_described(listed, score):
    new, back = listed[: len(LEFT)], listed[len(LEFT) :]
    return (
        {item for item, _ in new} == LEFT
        and len(back) == WANTED - len(LEFT)
        and all(item not in LEFT and told == score for item, told in back)
    )


least = float(np.finfo(np.float32).min)
of_als, of_cosine = found["AlternatingLeastSquares"], found["CosineRecommender"]
if not (as_described(of_als, least) and as_described(of_cosine, 0.0)):
    sys.exit("Filtered items do not come back as described any more.")
PYTHON

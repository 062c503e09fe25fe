#!/usr/bin/env bash
# Evidently 0.7.23 (PyPI, pinned below) numbers the places of NDCG and MRR from 2, those of
# precision, recall and MAP from 1.
#
# Valid input: two users with a rank for each of their items (a ranking of the type "rank"), and one
# report of PrecisionTopK, RecallTopK, MAP, NDCG and MRR with k=10. Each answers with ten ranks and
# ten values. The values are right and in the same order; the ranks beside them are 1 to 10 for the
# first three and 2 to 11 for NDCG and MRR. Who looks a value up by its rank gets NDCG@9 under 10,
# and there is nothing under 1.
#
# Seen (Python 3.11):
#   PrecisionTopK, RecallTopK, MAP: ranks 1 to 10
#   NDCG, MRR: ranks 2 to 11; NDCG@10 is 0.3977 by the formula, under rank 10 stands 0.4116
#
# Exits 0 while the package behaves so, 1 with a message when it does not any more.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  evidently==0.7.23 pandas==2.3.3 numpy==2.4.6

cd "$folder"
DO_NOT_TRACK=1 "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import math
import sys
from importlib.metadata import version

import pandas as pd
from evidently import DataDefinition, Dataset, Recsys, Report
from evidently.metrics import MAP, MRR, NDCG, PrecisionTopK, RecallTopK

K = 10
RELEVANT = {"ada": [f"hit{n}" for n in range(20)], "bo": ["hit0", "hit50"]}
SHOWN = {
    "ada": ["hit0", "a", "hit1", "b", "c", "hit2", "d", "e", "f", "g"],
    "bo": ["a", "hit0", "b", "c", "d", "e", "f", "g", "h", "i"],
}


def ndcg(user, k):
    """Binary NDCG of the first k, ideal over the relevant items that fit."""
    relevant = RELEVANT[user]
    hits = [n for n, item in enumerate(SHOWN[user][:k]) if item in relevant]
    ideal = range(min(k, len(relevant)))
    return sum(1 / math.log2(n + 2) for n in hits) / sum(1 / math.log2(n + 2) for n in ideal)


rows = []
for user, shown in SHOWN.items():
    everything = shown + [item for item in RELEVANT[user] if item not in shown]
    rows += [(user, item, n, int(item in RELEVANT[user])) for n, item in enumerate(everything, 1)]
frame = pd.DataFrame(rows, columns=["user", "item", "rank", "target"])
ranking = Recsys(
    user_id="user", item_id="item", prediction="rank", target="target", recommendations_type="rank"
)
data = Dataset.from_pandas(frame, data_definition=DataDefinition(ranking=[ranking]))
report = Report([metric(k=K) for metric in (PrecisionTopK, RecallTopK, MAP, NDCG, MRR)])
ranks, values = {}, {}
for metric in report.run(data, None).dict()["metrics"]:
    name = metric["metric_name"].partition("(")[0]
    ranks[name] = list(metric["value"]["rank"].values())
    values[name] = list(metric["value"]["value"].values())

print("evidently", version("evidently"))
for name, found in ranks.items():
    print(f"  {name}: ranks {found[0]} to {found[-1]}")
right = sum(ndcg(user, K) for user in SHOWN) / len(SHOWN)
under_ten = values["NDCG"][ranks["NDCG"].index(10)]
last = values["NDCG"][-1]
print(f"  NDCG@10 by the formula {right:.4f}, last value {last:.4f}, under rank 10 {under_ten:.4f}")
as_described = (
    all(ranks[name] == list(range(1, 11)) for name in ("PrecisionTopK", "RecallTopK", "MAP"))
    and all(ranks[name] == list(range(2, 12)) for name in ("NDCG", "MRR"))
    and abs(last - right) < 1e-9
    and abs(under_ten - right) > 1e-3
)
if not as_described:
    sys.exit("The ranks are not as described any more.")
PYTHON

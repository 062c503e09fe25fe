#!/usr/bin/env bash
# xgboost 3.2.0 with pyspark 4.3.0: SparkXGBRanker ends with an error as soon as `weight_col` is given.
#
# Its documentation names `weight_col` for the weight of the training dataset. A ranker of XGBoost
# wants one weight for each query group; SparkXGBRanker hands over one for each row, as the column
# has them, and there is no form of the column that it takes.
#
# Valid input: 40 queries of five rows, all weights of a query equal. Needs Java 17 or later.
# Seen (Python 3.11, Java 17): "without weights: fitted" and "with weights: Check failed:
# info.weights_.Size() == n_groups (200 vs. 40) : Size of weight must equal to the number of query
# groups when ranking group is used."
#
# Exits 0 while the packages behave so, 1 when they do not any more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary xgboost \
  xgboost==3.2.0 pyspark==4.3.0 pandas==2.3.3 pyarrow==25.0.1 scikit-learn==1.9.1
cd "$folder"
cat > program.py <<'PROGRAM'
import re

from pyspark.sql import SparkSession
from xgboost.spark import SparkXGBRanker

session = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.log.level", "OFF")
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .getOrCreate()
)
rows = [
    (query, float(row * query % 7), float(row == query % 5), 1.0 + query % 3)
    for query in range(40)
    for row in range(5)
]
frame = session.createDataFrame(rows, "query int, x double, label double, weight double")
given = {"features_col": ["x"], "label_col": "label", "qid_col": "query", "num_workers": 1}
SparkXGBRanker(**given, n_estimators=2).fit(frame)
print("without weights: fitted", flush=True)
try:
    SparkXGBRanker(**given, n_estimators=2, weight_col="weight").fit(frame)
    print("with weights: fitted", flush=True)
except Exception as error:
    print("with weights:", re.search(r"Check failed: .*?used\.", str(error))[0], flush=True)
PROGRAM
PYSPARK_PYTHON="$folder/venv/bin/python" "$folder/venv/bin/python" program.py 2>log.txt | tee printed.txt
grep -qx 'without weights: fitted' printed.txt
grep -q 'with weights: Check failed: info.weights_.Size() == n_groups (200 vs. 40)' printed.txt

"""Two parts of the engagement page: survival of users, and versions against baselines."""

from collections.abc import Mapping

from firstchair.console.charts import Forest, ForestRow, Form, LineChart, Point, Reference, Series
from firstchair.console.sources import Sources, rows
from firstchair.definitions.segments import ALL, Segment
from firstchair.lake import tables as t
from firstchair.promotion import model_title


def survival_chart(sources: Sources, segment: Segment) -> LineChart:
    """The newest survival curves of a segment: the share of users who stay, by days since start."""
    found = rows(
        f"""
        select segment_value, day, users, survival, lower, upper
        from {sources.lake.scan(t.SURVIVAL)}
        where segment = ? and model_version = '{ALL}' and at_risk >= ?
        qualify as_of = max(as_of) over () order by day
        """,
        str(segment),
        sources.config.k_anonymity,
    )
    users = {row["segment_value"]: row["users"] for row in found}
    largest = sorted(users, key=lambda value: (-users[value], value))
    lines = tuple(
        Series(
            value,
            tuple(
                Point(row["day"], row["survival"], row["lower"], row["upper"])
                for row in found
                if row["segment_value"] == value
            ),
        )
        for value in largest
    )
    return LineChart(
        "Survival",
        "Share of those who began that had not left so many days later (Kaplan and Meier), "
        "with 95 %.",
        lines, Form.SHARE,
    )  # fmt: skip


def baseline_forest(sources: Sources, known: Mapping[str, str]) -> Forest:
    """CTR of each version relative to that of the holdout, or of slots drawn at random.

    known: family by version.
    """
    found = rows(
        f"""
        select * from {sources.lake.scan(t.BASELINES)} where users >= ? and baseline_users >= ?
        qualify event_date = max(event_date) over ()
        order by impressions desc, model_version, baseline
        """,
        sources.config.k_anonymity,
        sources.config.k_anonymity,
    )
    lines = tuple(
        ForestRow(
            f"{model_title(row['model_version'], known.get(row['model_version']))} to "
            f"{row['baseline']}",
            row["relative_difference"],
            row["lower"],
            row["upper"],
            "good" if row["lower"] is not None and row["lower"] > 0 else "plain",
            f"{row['users']:,} against {row['baseline_users']:,} users",
        )
        for row in found
        if row["relative_difference"] is not None
    )
    return Forest(
        "Against baselines",
        "CTR of a version over the last week, relative to the holdout's or to drawn slots'.",
        lines, Form.CHANGE, (Reference("no difference", 0.0),),
    )  # fmt: skip

"""The true outcome of every model's lists: CTR, listen-through and churn, by segment and day."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from firstchair.definitions.churn import LABELS
from firstchair.definitions.lifecycle import lifecycles
from firstchair.privacy.generalisation import age_group
from firstchair.world.behaviour import EXAMINATION, Life, leaving
from firstchair.world.geography import COUNTRIES
from firstchair.world.population import Floats, Whole
from firstchair.world.service import SLATE
from firstchair.world.tastes import expected_share_heard

# Users whose expectations are computed at once: 4,096 lists of ten.
USERS_AT_ONCE = 4_096


def expectations(life: Life, day: int, lists: Mapping[str, Whole]) -> list[dict[str, Any]]:
    """Expected outcome of a day if each model's lists were shown to all users.

    Users are weighted by their activity, the chance of a session on the day; only present users
    count. No attribution window is needed: outcomes of a slate follow within minutes, on the day of
    the impression (`firstchair.definitions.attribution`).

    Args:
        life: The state of the world at the beginning of the day.
        day: 0-based.
        lists: int64 (users, `SLATE`) by model version; -1 past the end of a list. Users
            without a list do not count.

    Returns:
        day (date), model_version, segment, segment_value, users (number), ctr (clicks ÷
        impressions), clicks_per_100 (mean over users), listen_through (0..1, of the plays that
        clicks lead to), churned_7, churned_14: chance that a user who came on the day does not come
        in the 7 or 14 days after it, if lists stay the same.
    """
    segments = dict(_segments(life, day))
    rows = []
    for version, listed in lists.items():
        there = np.flatnonzero(life.present(day) & (listed >= 0).any(axis=1))
        of_users = _of_users(life, day, there, listed[there])
        for (segment, value), member in segments.items():
            inside = member[there]
            if inside.any():
                found = _summed({name: values[inside] for name, values in of_users.items()})
                labels = {"day": life.start + timedelta(days=day), "model_version": version}
                rows.append(labels | {"segment": segment, "segment_value": value} | found)
    return rows


def _of_users(life: Life, day: int, who: Whole, listed: Whole) -> dict[str, Floats]:
    """Expectations of one slate per user, each float32 (n,)."""
    parts = [slice(start, start + USERS_AT_ONCE) for start in range(0, len(who), USERS_AT_ONCE)]
    found = [_of_part(life, day, who[part], listed[part]) for part in parts]
    if not found:
        return {}
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


def _of_part(life: Life, day: int, who: Whole, listed: Whole) -> dict[str, Floats]:
    chance = EXAMINATION[:SLATE] * life.appeal(who, listed, day)
    there = np.maximum(listed, 0)
    heard = chance * expected_share_heard(
        life.tastes.keenness(np.broadcast_to(who[:, None], there.shape), there, day)
    )
    gone = leaving(heard.sum(axis=1))
    activity = life.users.activity[who]
    stays = 1 - gone
    stays_away = {label: gone + stays * (1 - activity) ** days for label, days in LABELS.items()}
    return {
        "activity": activity,
        "impressions": (listed >= 0).sum(axis=1).astype(np.float32),
        "clicks": chance.sum(axis=1),
        "heard": heard.sum(axis=1),
        **stays_away,
    }


def _summed(values: dict[str, Floats]) -> dict[str, float | int]:
    weight = values["activity"].astype(np.float64)
    clicks, shown = float(weight @ values["clicks"]), float(weight @ values["impressions"])
    per_user = 100 * values["clicks"] / values["impressions"]
    return {
        "users": len(weight),
        "ctr": clicks / shown,
        "clicks_per_100": float(weight @ per_user / weight.sum()),
        "listen_through": float(weight @ values["heard"]) / max(clicks, 1e-12),
        **{label: float(weight @ values[label] / weight.sum()) for label in LABELS},
    }


def _segments(life: Life, day: int) -> Iterator[tuple[tuple[str, str], npt.NDArray[np.bool_]]]:
    users, today = life.users, life.start + timedelta(days=day)
    yield ("all", "all"), np.ones(len(users), dtype=bool)
    columns: dict[str, Any] = {
        "lifecycle": lifecycles(np.array(users.created_on, dtype="datetime64[D]"), today),
        "country": np.array(COUNTRIES)[users.country],
        "age_group": np.array([age_group(float(age)) for age in users.age]),
        "gender": np.array(users.gender),
    }
    for segment, values in columns.items():
        for value in np.unique(values):
            yield (segment, str(value)), values == value

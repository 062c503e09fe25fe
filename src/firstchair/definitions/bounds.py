"""How much one user may weigh in what is summed over users, so that no account decides alone.

A ratio of sums is that of whoever holds its weight, and with all of it in one hand its standard
error tends to 0. So the weight of a user (impressions, or milliseconds of tracks) counts at most
`MOST_AVERAGES` times the mean of all users, the user's own rate staying as it is. With n users a
user then holds at most 50 / n of the whole.

Popularity counts plays, so there a user's plays of one artist have a limit of their own, and a day
with more listening than it has hours does not count at all.
"""

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

# Mean users that one user weighs at most in a ratio of sums.
MOST_AVERAGES = 50.0
# A user's plays of an artist, or of a track, that count in the popularity of 7 or 28 days.
MOST_PLAYS = 100
# A user's impressions of an artist, and their clicks on it, that count in its totals.
MOST_SHOWN = 1_000
# Nobody listens for longer on a day; an account that does is several listeners, or none.
HOUR_MS = 60 * 60 * 1_000
DAY_MS = 24 * HOUR_MS


def bounded(weights: Values, *, most: float = MOST_AVERAGES) -> Values:
    """Bound each user's weight by a multiple of the mean.

    The bound is the largest c that is `most` times the mean of min(weight, c) over the users with
    any weight, so it does not grow with what it cuts off.

    Args:
        weights: float64 (n_users,), >= 0, one value a user.
        most: Means that a user weighs at most, > 1.

    Returns:
        float64 (n_users,); the array given where no weight exceeds the bound.

    >>> float(bounded(np.array([0.0, *[1.0] * 99, 1000.0]))[-1])
    99.0
    """
    count = int(np.count_nonzero(weights))
    bound = most * float(weights.sum()) / max(1, count)
    if not count or weights.max() <= bound:
        return weights
    while True:
        # Over the `larger` users that are cut, c n = most (larger c + sum of the others).
        kept = weights <= bound
        larger = len(kept) - np.count_nonzero(kept)
        lower = most * float(weights @ kept) / (count - most * larger)
        if lower >= bound:
            return np.minimum(weights, bound)
        bound = lower


def bounded_parts(
    parts: Values, weights: Values, *, most: float = MOST_AVERAGES
) -> tuple[Values, Values]:
    """Bound the weights as `bounded` does, and scale what users did with a part of theirs alike.

    Args:
        parts: float64 (n_users,), such as clicks; 0 where the weight is.
        weights: float64 (n_users,), such as impressions.
        most: As in `bounded`.

    Returns:
        The parts and the weights as they count, float64 (n_users,); those given if none is cut.
    """
    counted = bounded(weights, most=most)
    if counted is weights:
        return parts, weights
    shares = np.divide(counted, weights, out=np.zeros_like(weights), where=weights > 0)
    return parts * shares, counted


def bounds_sql(users: str, *, cell: str, weight: str) -> str:
    """Write the bound of `bounded` as a DuckDB relation: `cell`, bound (whole, null without one).

    Args:
        users: Relation with one row per cell and user.
        cell: Columns (SQL list) within which users are compared; none is null.
        weight: Column of the weight, whole and >= 0.
    """
    return f"""(
        select {cell}, min_by(bound, larger)::hugeint as bound from (
            select {cell}, weight, larger,
                   {MOST_AVERAGES} * others / (users - {MOST_AVERAGES} * larger) as bound
            from (
                select {cell}, {weight} as weight, row_number() over descending - 1 as larger,
                       sum({weight}) over (
                           descending rows between current row and unbounded following) as others,
                       count(*) over (partition by {cell}) as users
                from {users} semi join (
                    select {cell} from {users} where {weight} > 0 group by all
                    having max({weight}) > {MOST_AVERAGES} * avg({weight})) using ({cell})
                where {weight} > 0
                window descending as (partition by {cell} order by {weight} desc, user_key))
            where {MOST_AVERAGES} * larger < users)
        where weight <= bound group by all)"""


def counted_sql(part: str, *, weight: str, bound: str) -> str:
    """Write a user's part as it counts: scaled as the weight, whole so that sums are exact.

    Args:
        part: Column, such as clicks; the weight itself too.
        weight: Column of the weight.
        bound: Column `bound` of `bounds_sql`.
    """
    scaled = f"round({part} * ({bound} / {weight}))::hugeint"
    return f"case when {weight} > {bound} then {scaled} else {part} end"

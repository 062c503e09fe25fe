"""Scales from values to positions in a chart, and the round numbers of an axis."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from firstchair.console.charts.figures import Form, told


@dataclass(frozen=True, slots=True)
class Scale:
    """A map from values `low` to `high` to positions `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The position of a value; a value outside is at the border."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def spread(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """The least and greatest round number around the values, and the ticks (three to seven).

    If all values are zero, the range is 0..1, since counts and shares are not negative.

    >>> spread([0.031, 0.058])
    (0.03, 0.06, [0.03, 0.04, 0.05, 0.06])
    """
    low, high = min(values), max(values)
    if low == high == 0:
        high = 1.0
    if high - low < 1e-9:
        low, high = low - max(abs(low) * 0.1, 1e-3), high + max(abs(high) * 0.1, 1e-3)
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(nice * power for nice in (1, 2, 2.5, 5, 10) if nice * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [round(number * step, 12) for number in range(first, last + 1)]
    return ticks[0], ticks[-1], ticks


def label(value: float, form: Form, ticks: Sequence[float]) -> str:
    """A tick as text, with as many digits as distinguish it from the next."""
    step = abs(ticks[1] - ticks[0]) * (1 if form is Form.NUMBER else 100)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if abs(step * 10**digits - round(step * 10**digits)) > 1e-6:
        digits += 1
    return "0" if value == 0 else told(value, form, digits=digits)


def days_to_write(first: int, last: int, *, most: int = 5) -> list[int]:
    """At most `most` days at equal distances, with the last among them.

    >>> days_to_write(0, 28), days_to_write(3, 3)
    ([0, 7, 14, 21, 28], [3])
    """
    apart = max(1, math.ceil((last - first) / (most - 1)))
    return list(range(last - (last - first) // apart * apart, last + 1, apart))

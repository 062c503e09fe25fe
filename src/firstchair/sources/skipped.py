"""Objects under the URL of the events that are not read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SkippedObjects:
    """Objects under the URL that are not read because of how their names end.

    ending: of their names from the last full stop on; empty where there is none.
    objects: how many there are; size: their bytes; first: name of the first one.
    """

    ending: str
    objects: int
    size: int
    first: str

"""The fitted models that can serve, fitted again on the data that is left without the user.

No artifact holds a row of a user: a family stores artists alone. What a fitted model has of a user
is their part in its counts and factors. A family that counts gives the same numbers fitted again as
if the user's part were subtracted, since nothing in it is drawn by chance; what it stores are
rounded shares, so that a subtraction would be less exact. Factors and trees are fitted again with
the seed that they were fitted with.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

from firstchair.errors import ModelError
from firstchair.lake import Lake
from firstchair.models import Family, fit, load_training_data
from firstchair.promotion import Alias, Ledger, Registry, Version

# Nothing of these families but counts and the catalogue follows from the data.
COUNTS = frozenset(
    {
        Family.ITEM_ITEM,
        Family.CONTENT,
        Family.DECAYED_POPULARITY,
        Family.TRENDING,
        Family.RANDOM,
    }
)


@dataclass(frozen=True, slots=True)
class Refit:
    """A version that was fitted again in its place.

    exact: whether it is what a subtraction of the user's counts would give. before, after: data
    fingerprint of what it was fitted on. seconds: that fit and its storing took.
    """

    version: str
    family: str
    exact: bool
    before: str
    after: str
    seconds: float

    def record(self) -> dict[str, str]:
        """As the ledger has it."""
        return {
            name: str(value)
            for name, value in asdict(self).items()
            if name in {"version", "family", "before", "after"}
        }


def able_to_serve(registry: Registry, ledger: Ledger, *, known_from: date) -> list[Version]:
    """Versions that serve, or may without a new fit, and that were fitted after the user came.

    They are those with an alias, those of the stage that is under way, and the newest of each
    family, which makes lists and auditions.

    Args:
        registry: Where they are registered.
        ledger: Names the versions of the stage.
        known_from: First day of an event of the user.
    """
    last = ledger.last()
    phase = None if last is None else last.phase
    named = [] if phase is None else [phase.treatment, phase.control]
    found = [registry.alias(alias) for alias in Alias]
    found += [registry.find(number) for number in named]
    found += registry.newest(date.max).values()
    by_number = {one.version: one for one in found if one is not None and one.as_of > known_from}
    return [by_number[number] for number in sorted(by_number, key=int)]


def refit(lake: Lake, registry: Registry, version: Version, *, seed: int) -> Refit:
    """Fit a version again on what the lake holds before its `as_of`, and store it in its place.

    What it chose on validation data is kept, unless its files are damaged.

    Args:
        lake: Without the user's rows.
        registry: Where the version is registered.
        version: Which.
        seed: Where the version's run names none.

    Raises:
        ModelError: It cannot be stored; the same call again completes it.
    """
    began = time.monotonic()
    family = Family(version.family)
    data = load_training_data(lake, as_of=version.as_of)
    known = registry.seed(version)
    try:
        before = registry.load(version)
    except ModelError:
        before = None
    model = fit(family, data, seed=seed if known is None else known, like=before)
    registry.replace(version, model, data_fingerprint=data.fingerprint)
    seconds = time.monotonic() - began
    return Refit(
        version.version,
        str(family),
        family in COUNTS,
        version.data_fingerprint,
        data.fingerprint,
        round(seconds, 2),
    )


def others(registry: Registry, refitted: Sequence[str], *, known_from: date) -> int:
    """How many versions that serve nobody were fitted with the user and are left as they are."""
    return sum(
        version.as_of > known_from and version.version not in refitted
        for version in registry.versions()
    )

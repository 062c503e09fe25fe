"""The outcome of a check: it passes, it fails, the data do not say, or it does not apply."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class CheckState(StrEnum):
    """What a check came to; a check without data has not passed."""

    PASSES = "passes"
    FAILS = "fails"
    NOT_ENOUGH_DATA = "not_enough_data"
    NOT_APPLICABLE = "not_applicable"

    @property
    def words(self) -> str:
        """The state as a person reads it.

        >>> CheckState.NOT_ENOUGH_DATA.words
        'not enough data'
        """
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Check:
    """One check and its outcome.

    detail: the figures. missing: the data without which there is no outcome; empty in every state
    but `NOT_ENOUGH_DATA`.
    """

    name: str
    state: CheckState
    detail: str
    missing: str = ""

    def sentence(self) -> str:
        """State, what is missing, and figures in one text.

        >>> Check("users", CheckState.NOT_ENOUGH_DATA, "12 of 500.", "488 users").sentence()
        'not enough data (missing: 488 users): 12 of 500.'
        """
        lacking = f" (missing: {self.missing})" if self.missing else ""
        return f"{self.state.words}{lacking}: {self.detail}"


def overall(name: str, checks: Sequence[Check]) -> Check:
    """Several checks as one: it fails where one does, else lacks data where one does.

    >>> found = Check("a", CheckState.PASSES, "1 of 1")
    >>> unknown = Check("b", CheckState.NOT_ENOUGH_DATA, "0", "days")
    >>> overall("both", [found, unknown]).sentence()
    'not enough data (missing: days): a: passes: 1 of 1; b: not enough data (missing: days): 0'
    """
    figures = "; ".join(f"{check.name}: {check.sentence()}" for check in checks)
    for state in (CheckState.FAILS, CheckState.NOT_ENOUGH_DATA):
        if found := [check for check in checks if check.state is state]:
            missing = ", ".join(check.missing for check in found if check.missing)
            return Check(name, state, figures, missing)
    return Check(name, CheckState.PASSES, figures)

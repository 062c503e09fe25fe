"""Great Expectations suites, kept as data in `expectations/`, over pandas batches."""

from firstchair.validation.suites import (
    SHOWN_CHARACTERS,
    Failure,
    RowRule,
    ValidationReport,
    may_fail,
    row_rules,
    validate,
)

__all__ = [
    "SHOWN_CHARACTERS",
    "Failure",
    "RowRule",
    "ValidationReport",
    "may_fail",
    "row_rules",
    "validate",
]

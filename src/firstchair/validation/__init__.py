"""Great Expectations suites, kept as data in `expectations/`, over pandas batches."""

from firstchair.validation.suites import Failure, ValidationReport, validate

__all__ = ["Failure", "ValidationReport", "validate"]

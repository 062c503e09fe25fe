"""A lake on S3, on this machine."""

import pytest

from firstchair.lake import Lake


@pytest.fixture
def on_s3(bucket: str) -> Lake:
    """An empty lake in a bucket of its own."""
    return Lake(f"{bucket}/of/team_1")

"""A lake on S3, on this machine."""

from collections.abc import Iterator
from itertools import count

import fsspec
import pytest

from firstchair.lake import Lake
from tests.s3 import S3, serving

_BUCKETS = count(1)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server for all tests of this process."""
    with serving(tmp_path_factory.mktemp("s3") / "requests.log") as server:
        yield server


@pytest.fixture
def on_s3(s3: S3, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """An empty lake in a bucket of its own, reached as any process of a platform reaches it."""
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in s3.variables().items():
        monkeypatch.setenv(name, value)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    bucket = f"music-lake-{next(_BUCKETS)}"
    fsspec.filesystem("s3").mkdir(bucket)
    yield Lake(f"s3://{bucket}/of/team_1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()

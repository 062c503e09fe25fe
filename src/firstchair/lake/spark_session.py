"""Spark as it is started for this project: one session a process, in UTC, in folders of the home.

Nothing here imports Spark before a session is wanted.
"""

import atexit
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from firstchair.errors import RunError, SettingsError

if TYPE_CHECKING:
    from firstchair.settings import Settings

# What Spark 4 runs on (spark.apache.org/docs/latest, "Downloading").
LEAST_JAVA = 17
GET_JAVA = (
    "Install Java 17 or 21 (Debian: `apt-get install openjdk-17-jre-headless`; elsewhere a build "
    "from adoptium.net) and set JAVA_HOME, or put `java` on the PATH."
)
# What the equality of the engines depends on.
_FIXED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
_USUAL = {
    "spark.app.name": "firstchair",
    "spark.driver.maxResultSize": "0",  # training data are wanted in this process
    "spark.log.level": "ERROR",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # Files are known by their names, so the driver looks them up without a job of a task each.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
# On one machine nothing listens at another address, and 200 partitions cost more than they save.
_LOCAL = {
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "8",
}


@dataclass(frozen=True, slots=True)
class SparkSettings:
    """Where Spark runs.

    master: as Spark names it: `local[2]`, `spark://host:7077`, `yarn`, `k8s://...`.
    options: further properties of Spark with their values; they win over ours, but for those that
        the equality of the engines depends on.
    folder: for what Spark keeps while it computes, and for staged rows; every executor has to reach
        it by this path. None: one under the system's temporary folder.
    fits_als: whether ALS is fitted there too.
    """

    master: str = "local[2]"
    options: tuple[tuple[str, str], ...] = ()
    folder: Path | None = None
    fits_als: bool = False

    @classmethod
    def of(cls, settings: "Settings") -> Self:
        """As the settings `spark_master`, `spark_options` and `als_fitted_by` have it."""
        return cls(
            settings.spark_master,
            settings.spark_properties,
            settings.home / "spark",
            fits_als=settings.als_fitted_by == "spark",
        )

    @property
    def scratch(self) -> Path:
        """The folder, which is there."""
        folder = self.folder or Path(tempfile.gettempdir()) / f"firstchair-spark-{os.getpid()}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @property
    def is_local(self) -> bool:
        """Whether the driver and all executors are on this machine."""
        return self.master.startswith("local")


def open_session(spark: SparkSettings) -> Any:
    """A session with views of its own, on the one context of this process.

    Raises:
        SettingsError: Spark does not start.
    """
    return _started(os.getpid(), spark).newSession()


def require_spark() -> None:
    """Raise if Spark cannot be started here.

    Raises:
        SettingsError: The extra is not installed, or Java is missing or too old.
    """
    where = "engine and als_fitted_by, in the environment or firstchair.toml"
    if find_spec("pyspark") is None:
        raise SettingsError(
            "Spark needs pyspark, which is not installed.",
            where=where,
            data="Nothing was read or written.",
            remedy="Run `pip install 'firstchair[spark]'`, or set engine to duckdb and "
            "als_fitted_by to implicit.",
        )
    found = java_version()
    if found is None or found < LEAST_JAVA:
        state = "no Java is found" if found is None else f"Java {found} is too old"
        raise SettingsError(
            f"Spark needs Java {LEAST_JAVA} or later, and {state}.",
            where=where,
            data="Nothing was read or written.",
            remedy=GET_JAVA,
        )


def java_version() -> int | None:
    """Feature release of the Java that Spark would start, such as 17; None without one."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home, "bin", "java")) if home else "java")
    if java is None:
        return None
    shown = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', shown)
    return int(found[1]) if found else None


@contextmanager
def computing(spark: SparkSettings) -> Iterator[None]:
    """Around work of Spark.

    Raises:
        RunError: Spark failed.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        raise RunError(
            f"Spark could not compute: {_gist(error)}.",
            where=f"Spark on {spark.master}",
            data="Nothing was written; what had been staged is removed.",
            remedy="Look into Spark's log for the cause, then run the command again.",
        ) from error


def staged_files(spark: SparkSettings, folder: Path) -> list[Path]:
    """Parquet files that executors wrote into a folder, in the order of their tasks.

    Raises:
        RunError: There are none, though a task without rows writes one too.
    """
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise RunError(
            f"Executors of Spark on {spark.master} wrote nothing where this process reads.",
            where=str(folder),
            data="Nothing was written; what had been staged is removed.",
            remedy="Have all executors share the folder `spark` of home by the same path.",
        )
    return files


@cache
def _started(process: int, spark: SparkSettings) -> Any:
    """The session of a process; the connection to its JVM does not live on in a fork."""
    from pyspark.sql import SparkSession

    _LOCKS.append(_cleaned(spark.scratch))
    if spark.is_local:
        # Masters and workers of `local-cluster` have no property for their address.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        # Or executors run the first `python3` of the PATH.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    handler = signal.getsignal(signal.SIGINT)
    try:
        session = SparkSession.builder.config(map=_properties(spark)).getOrCreate()
    except Exception as error:  # of the launch, of py4j or of Java
        raise SettingsError(
            f"Spark does not start on {spark.master}: {_gist(error)}.",
            where="FIRSTCHAIR_SPARK_MASTER or spark_master, and spark_options",
            data="Nothing was read or written.",
            remedy="Correct the master or the options, then run the command again.",
        ) from error
    finally:
        # Spark takes the signal over in the main thread (pyspark 4.3, `core/context.py`).
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
    atexit.register(_stop, process, session)
    return session


def _properties(spark: SparkSettings) -> dict[str, str]:
    local = _LOCAL if spark.is_local else {}
    folders = {"spark.sql.warehouse.dir": str(spark.scratch / "warehouse")}
    # Kubernetes mounts a volume of each pod's own there, which would hide what executors share.
    if not spark.master.startswith("k8s:"):
        folders["spark.local.dir"] = str(spark.scratch)
    usual = {"spark.master": spark.master, **_USUAL, **local, **folders}
    return usual | dict(spark.options) | _FIXED


def _stop(process: int, session: Any) -> None:
    if os.getpid() == process:
        session.stop()


# Open until the process ends: by these locks others see that a folder is in use.
_LOCKS: list[IO[bytes]] = []


def remove_left(spark: SparkSettings) -> None:
    """Remove what killed processes left in the folder, unless a process uses it now."""
    if spark.folder is not None and spark.folder.is_dir():
        _cleaned(spark.folder).close()


def _cleaned(folder: Path) -> IO[bytes]:
    """Remove what was left in the folder, if nobody uses it; the lock that shows it is in use."""
    lock = (folder / ".lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in folder.iterdir():
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
    except BlockingIOError:
        pass
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


# What a Python process of an executor raised, after the places in its code.
_RAISED_THERE = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n)+(.+)")


def _gist(error: BaseException) -> str:
    """The line of an error that says what happened, without the stacks of Java and Python."""
    if raised := _RAISED_THERE.search(str(error)):
        return raised[1].rstrip(".")
    lines = [line.strip(": ") for line in str(error).splitlines() if line.strip(": ")]
    causes = [line for line in lines if not line.startswith("An error occurred while calling")]
    return (causes or lines or [type(error).__name__])[0].rstrip(".")

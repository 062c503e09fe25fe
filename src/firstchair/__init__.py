"""Artist recommendations in which no model goes live without earning it."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        """Read the version where it is asked for: to load what reads it is a sixth of a start."""
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import version

        return version("firstchair")


# Read by OpenMP when a library first brings it: its threads sleep while they wait for one another.
# By default they spin, which beside any other busy process takes ten times the processor time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

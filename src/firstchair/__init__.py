"""Artist recommendations in which no model goes live without earning it."""

import os
from importlib.metadata import version

__version__ = version("firstchair")

# Read by OpenMP when a library first brings it: its threads sleep while they wait for one another.
# By default they spin, which beside any other busy process takes ten times the processor time.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

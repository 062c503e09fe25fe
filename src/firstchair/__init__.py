"""Artist recommendations in which no model goes live without earning it."""

from importlib.metadata import version

__version__ = version("firstchair")

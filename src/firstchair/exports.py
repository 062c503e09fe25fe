"""Names of a room that are imported when they are first asked for."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


def deferred(package: str, names: Sequence[str], modules: Sequence[str]) -> Callable[[str], Any]:
    """The `__getattr__` of a package (PEP 562) whose `names` are found in, or are, `modules`.

    A caller of one module of a room does not pay for the libraries of the others. Modules are
    tried in their order; the light ones should stand first.
    """

    def attribute(name: str) -> Any:
        if name in modules:
            return import_module(f"{package}.{name}")
        for module in modules if name in names else ():
            found = import_module(f"{package}.{module}")
            if hasattr(found, name):
                return getattr(found, name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return attribute

"""How much memory there is, what the engine of this process may take, and its garbage."""

import gc
import re
from pathlib import Path
from typing import NamedTuple

# Below it DuckDB refuses whole queries (2.0: tens of MiB a thread for a file that is written).
LEAST_BYTES = 256 * 2**20
# Matrices, models and data frames stand beside the engine, and several processes have one each:
# a run, the console, the sensors.
DEFAULT_SHARE = 0.25
# New objects that may be part of a cycle before the youngest are looked through; Python's 700 make
# a run, which imports a great deal, spend a tenth of its time on it.
COLLECT_AFTER = 50_000
UNITS = {
    **{f"{letter}B": 1000**power for power, letter in enumerate("KMGT", start=1)},
    **{f"{letter}iB": 1024**power for power, letter in enumerate("KMGT", start=1)},
}
_SIZE = re.compile(rf"([0-9]+(?:\.[0-9]+)?) ?({'|'.join(UNITS)})")
# Where the limit of a control group stands: of version 2, and of version 1.
_LIMITS = ("sys/fs/cgroup{}/memory.max", "sys/fs/cgroup/memory{}/memory.limit_in_bytes")


class Memory(NamedTuple):
    """Memory that can be used, in bytes, and whose it is: `machine` or `container`."""

    size: int
    owner: str


class _InForce:
    """The limit of this process, None for the default."""

    engine: int | None = None


def bytes_of(size: str) -> int:
    """The bytes of a size such as `4GiB`, `1.5 GB` or `900MiB`.

    Raises:
        ValueError: It is no size, or less than `LEAST_BYTES`.

    >>> bytes_of("1.5GiB")
    1610612736
    """
    found = _SIZE.fullmatch(size)
    if found is None:
        raise ValueError(f"{size!r} is no size; write a number and one of {', '.join(UNITS)}")
    number = int(float(found[1]) * UNITS[found[2]])
    if number < LEAST_BYTES:
        raise ValueError(f"{size!r} is too little to work in; choose 256MiB or more")
    return number


def limit_engine(size: int | None) -> None:
    """Hold the engine of this process to so many bytes from now on; None for the default."""
    _InForce.engine = size


def engine_limit() -> int:
    """Bytes that the engine of this process may hold; what exceeds them is put on disk."""
    if _InForce.engine is not None:
        return _InForce.engine
    return max(LEAST_BYTES, int(available_memory().size * DEFAULT_SHARE))


def available_memory(root: Path = Path("/")) -> Memory:
    """The memory of the machine, or of the container if its limit is lower.

    Args:
        root: Where `proc` and `sys` are.
    """
    import psutil  # every command imports this module, few ask for this

    machine = Memory(psutil.virtual_memory().total, "machine")
    limits = [Memory(limit, "container") for limit in _group_limits(root)]
    return min([machine, *limits], key=lambda memory: memory.size)


def _group_limits(root: Path) -> list[int]:
    """Limits of the control groups that this process is in, from the innermost to the root."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:  # no Linux
        return []
    groups = [Path(line.split(":", 2)[2]) for line in lines if line.split(":")[1] in {"", "memory"}]
    places = {
        root / form.format("" if path == Path("/") else path)
        for group in groups
        # In a container the path may be that of the machine, and the limit stands at the root.
        for path in (group, *group.parents)
        for form in _LIMITS
    }
    texts = (place.read_text().strip() for place in sorted(places) if place.is_file())
    return [int(text) for text in texts if text.isdecimal()]  # `max`: there is none


def collect_seldom() -> None:
    """Have this process look for garbage in cycles seldom: little of what it makes is any."""
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])

"""Masking over growing lengths of hostile texts.

`python -m benchmarks.masking_lengths` prints the processor time of the longest text of each kind,
and how many times that of half its length each text takes: 2 where the work is linear.
"""

import json
import time
from collections.abc import Callable
from itertools import pairwise

from firstchair.events.masking import kept_extra, masked

LENGTHS = (125_000, 250_000, 500_000, 1_000_000)
# Texts of about so many characters, in which a careless pattern looks at parts again and again.
TEXTS: dict[str, Callable[[int], str]] = {
    "one word": lambda n: "a" * n,
    "words of an address": lambda n: "a.b%c+" * (n // 6),
    "blanks behind a name": lambda n: "name" + " " * n,
    "names without values": lambda n: "a:" * (n // 2),
    "open quotes": lambda n: "a='" * (n // 3),
    "plus signs and digits": lambda n: "+1 " * (n // 3),
    "digits": lambda n: "1." + "1" * n,
    "colons": lambda n: "::" * (n // 2),
    "brackets": lambda n: "[" * n,
}


def of_extra(text: str) -> float:
    """Processor seconds that an allowed field with the text costs."""
    extra = json.dumps({"note": text})
    began = time.process_time()
    kept_extra(extra, "user-ann", "u" * 32, {"note"})
    return time.process_time() - began


def of_refused(raw: str) -> float:
    """Processor seconds that a refused record costs."""
    began = time.process_time()
    masked(raw, str.upper)
    return time.process_time() - began


def accounts(length: int) -> str:
    """A record of account keys and texts."""
    return json.dumps([{"user_id": f"user-{n}", "t": "x"} for n in range(length // 32)])


def main() -> None:
    """Print a line for each kind of text."""
    for name, text in TEXTS.items():
        report(f"extra: {name}", [of_extra(text(length)) for length in LENGTHS])
        report(f"refused: {name}", [of_refused(text(length)) for length in LENGTHS])
    report("refused: account keys", [of_refused(accounts(length)) for length in LENGTHS])


def report(name: str, found: list[float]) -> None:
    """Print the time of the longest, and how each length compares with half of it."""
    ratios = " ".join(f"{b / max(a, 1e-4):.1f}" for a, b in pairwise(found))
    print(f"{name:34} {found[-1]:7.3f} s at {LENGTHS[-1]:,}; each doubling: {ratios}", flush=True)


if __name__ == "__main__":
    main()

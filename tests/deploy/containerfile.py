"""A Containerfile as data: its stages, each a list of instructions."""

import json
import re
import shlex
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Stage:
    """One stage: its base image, and instructions with their text in order."""

    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [text for instruction, text in self.instructions if instruction == name]

    @property
    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for text in self.all("ENV") for pair in shlex.split(text))

    @property
    def command(self) -> list[str]:
        return list(json.loads(self.all("CMD")[-1]))

    @property
    def health_check(self) -> list[str]:
        return list(json.loads(self.all("HEALTHCHECK")[-1].split("CMD", 1)[1]))


@cache
def stages(folder: str = "deploy") -> tuple[Stage, ...]:
    lines = [
        line
        for line in (ROOT / folder / "Containerfile").read_text().splitlines()
        if not line.lstrip().startswith("#")
    ]
    found: list[Stage] = []
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        if line.strip():
            instruction, text = line.split(maxsplit=1)
            if instruction == "FROM":
                found.append(Stage(text.split()[0]))
            else:
                found[-1].instructions.append((instruction, text))
    return tuple(found)

"""A finding: how bad it is, what was found, and what to do."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Level: TypeAlias = Literal["wrong", "watch", "fine"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`wrong`: figures are off or missing. `watch`: they are right, and less is known than could be."""

    level: Level
    what: str
    fix: str = ""

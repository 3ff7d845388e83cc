"""What an import did."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that was not imported: where (a line, a byte), and why."""

    path: Path
    place: str  # "" for the whole file
    message: str

    def __str__(self) -> str:
        return f"{self.path}{', ' if self.place else ''}{self.place}: {self.message}"


@dataclass(slots=True)
class ImportReport:
    """Counts of an import; `spans` are stored, duplicates included."""

    files: int = 0
    documents: int = 0
    spans: int = 0
    rejected: Counter[str] = field(default_factory=Counter)  # spans by reason
    repaired: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)  # documents of metrics and logs
    problems: list[Problem] = field(default_factory=list)

"""What an import did."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fanlight_collectors.otlp.batch import Reject, RejectReason

REASONS: Final[dict[RejectReason, str]] = {
    "invalid_trace_id": "whose trace id is not 32 hexadecimal digits, or only zeros",
    "invalid_span_id": "whose span id is not 16 hexadecimal digits, or only zeros",
    "invalid_parent_span_id": "whose parent's id is not 16 hexadecimal digits",
    "start_time_in_the_future": "that starts over a day after this machine's clock",
    "start_time_too_old": "that starts before the year 2000",
    "end_time_in_the_future": "that ends over a day after this machine's clock",
    "malformed_span": "that cannot be read",
}


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

    def reject(self, path: Path, place: str, rejects: Sequence[Reject]) -> None:
        """Counts the spans of one message that cannot be stored, and says why: a problem for each reason."""
        first: dict[RejectReason, Reject] = {reject.reason: reject for reject in reversed(rejects)}
        counts = Counter(reject.reason for reject in rejects)
        for reason, one in first.items():
            number = counts[reason]
            self.rejected[reason] += number
            said = one.detail if reason == "malformed_span" else one.span_name
            shown = f" ({said})" if said else ""
            what = "1 span" if number == 1 else f"{number} spans, each"
            self.problems.append(Problem(path, place, f"{what} {REASONS[reason]}{shown}"))

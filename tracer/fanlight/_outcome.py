"""What became of one export request, whichever protocol carried it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal[
    "delivered",
    "retry",  # the collector is busy, or the connection broke
    "unreachable",  # nobody listens there
    "too_large",
    "rejected",  # it will never be taken
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict, why, and how many of the spans the collector refused in a request that it took."""

    verdict: Verdict
    detail: str = ""
    retry_after_s: float | None = None
    rejected: int = 0

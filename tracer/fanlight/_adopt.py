"""Delivering what dead processes left in the spool for the collector that this process sends to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fanlight._guard import guard, logger
from fanlight._outcome import Outcome
from fanlight_schema.spool import DeadProcess, dead_processes, target_of


@dataclass(slots=True)
class Adopted:
    """What became of the spans of dead processes."""

    delivered: int = 0
    refused: int = 0  # for good: by a collector that takes others, or too large for it one by one


def adopter(folder: Path, url: str) -> Callable[[Callable[[bytes], Outcome], int], Adopted]:
    """A function that sends what is there for `url`, in requests of at most so many bytes, as long as the
    collector takes it.
    """
    target = target_of(url)

    def adopt(send: Callable[[bytes], Outcome], most_bytes: int) -> Adopted:
        adopted = Adopted()
        with guard("adopt"):
            for dead in dead_processes(folder, target.__eq__):
                with dead:
                    found = _deliver(dead, send, most_bytes)
                    if found == "later":
                        break
                    if found != "kept":
                        dead.remove()
                        adopted.delivered += found.delivered
                        adopted.refused += found.refused
        return adopted

    return adopt


def _deliver(
    dead: DeadProcess, send: Callable[[bytes], Outcome], most_bytes: int
) -> Adopted | Literal["later", "kept"]:
    """What became of the spans of one process; `later` if the collector takes no more now.

    A request that is too large is halved. What is refused from the start is kept: another process, with other
    headers, or `up` may deliver it.
    """
    found = Adopted()
    for batch in dead.batches(most_bytes):
        parts = [batch]
        while parts:
            part = parts.pop()
            outcome = send(dead.request(part))
            if outcome.verdict in ("retry", "unreachable"):
                return "later"
            if outcome.verdict == "rejected" and not found.delivered:
                return "kept"
            if outcome.verdict == "too_large" and len(part) > 1:
                half = len(part) // 2
                parts += (part[half:], part[:half])
                continue
            refused = outcome.rejected if outcome.verdict == "delivered" else len(part)
            if refused:
                logger.warning(
                    "the collector rejected %d spans of a dead process (%s)",
                    refused,
                    outcome.detail or "partial success",
                )
            found.delivered += len(part) - refused
            found.refused += refused
    return found

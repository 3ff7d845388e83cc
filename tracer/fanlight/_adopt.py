"""Delivering what dead processes left in the spool for the collector that this process sends to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fanlight._guard import guard, logger
from fanlight._outcome import Outcome
from fanlight_schema.spool import DeadProcess, dead_processes, target_of


def adopter(folder: Path, url: str) -> Callable[[Callable[[bytes], Outcome], int], int]:
    """A function that sends what is there for `url`, until the collector takes no more; it gives the number
    of spans that were delivered.
    """
    target = target_of(url)

    def adopt(send: Callable[[bytes], Outcome], most_bytes: int) -> int:
        delivered = 0
        with guard("adopt"):
            for dead in dead_processes(folder, target.__eq__):
                with dead:
                    spans = _deliver(dead, send, most_bytes)
                    if spans is None:
                        break
                    if spans >= 0:
                        dead.remove()
                        delivered += spans
        return delivered

    return adopt


def _deliver(dead: DeadProcess, send: Callable[[bytes], Outcome], most_bytes: int) -> int | None:
    """The spans of one process that the collector took; None if the rest has to wait, -1 if it took none.

    Another process, with other headers, or `up` may deliver what was refused whole.
    """
    delivered = 0
    for request, spans in dead.requests(most_bytes):
        outcome = send(request)
        if outcome.verdict in ("retry", "unreachable"):
            return None
        if outcome.verdict != "delivered" and not delivered:
            return -1
        if outcome.verdict == "delivered":
            delivered += spans - outcome.rejected
        else:
            logger.warning("the collector rejected %d spans of a dead process (%s)", spans, outcome.detail)
    return delivered

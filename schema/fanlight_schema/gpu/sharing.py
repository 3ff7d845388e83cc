"""Shares a window's busy time out over its requests, in whole nanoseconds, so that nothing is lost.

>>> share_ns(100, [1.0, 2.0], total=6.0)
Shares(attributed_ns=[16, 33], unattributed_ns=51)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Shares:
    """The sum of both is the window's busy time, exactly."""

    attributed_ns: list[int]  # of each request, in the order that they were given
    unattributed_ns: int  # other people's work, and what rounding leaves


def share_ns(busy_ns: int, work: Sequence[float], total: float | None = None) -> Shares:
    """Each request's part of `busy_ns`, as its work is to all work of the window.

    `total` is the work that the engine's own counters tell of, in the unit of `work`; less than the requests'
    own sum, or None, is that sum. Raises ValueError for a time or work below 0 or not finite.
    """
    if busy_ns < 0 or not all(0 <= one < float("inf") for one in (*work, total or 0.0)):
        raise ValueError("busy time and work are finite and 0 or more")
    each = [Fraction(one) for one in work]
    whole = max(sum(each, Fraction()), Fraction(total or 0.0))
    parts = [int(busy_ns * one / whole) if whole else 0 for one in each]
    return Shares(parts, busy_ns - sum(parts))

"""Waits until everything that was inserted is in the figures.

    refresh.settle(store)        # after an insert: the views are right when it returns

The engine counts by itself every two seconds (migrations 0038 and 0042); settle() makes it do so at once.
"""

import time

from . import shape
from .store import Store, StoreError

PICK, BUILD, RATES = "picked_rmv", "build_rmv", "gpu_rates_rmv"
STANDING_MARKS = "SELECT count() FROM (SELECT 1 FROM touched GROUP BY trace_id, mark HAVING sum(sign) > 0)"


class NotSettled(StoreError):
    """The figures were still behind when the time was up."""


def settle(store: Store, timeout_s: float = 10.0) -> None:
    """Returns when every span inserted before the call is in every view; NotSettled after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while standing := pending_traces(store):
        if time.monotonic() > deadline:
            raise NotSettled(
                f"{standing} traces were not counted within {timeout_s} s; look at system.view_refreshes for"
                f" an exception of {BUILD}, and give a longer time if it has none"
            )
        count_now(store)
    price_now(store)


def count_now(store: Store) -> None:
    """Has one build computed without waiting for its turn."""
    for view in (PICK, BUILD):
        _refresh(store, view)


def price_now(store: Store) -> None:
    """Has everything priced by the cards and placements that there are now."""
    _refresh(store, RATES)


def _refresh(store: Store, view: str) -> None:
    store.command(f"SYSTEM REFRESH VIEW {view}")
    store.command(f"SYSTEM WAIT VIEW {view}")


def settle_shapes(store: Store, timeout_s: float = 10.0) -> None:
    """Returns when every action that is counted has its shape; NotSettled after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while waiting := shape.compute(store):
        if time.monotonic() > deadline:
            raise NotSettled(f"{waiting} shapes of actions were not computed within {timeout_s} s")


def pending_traces(store: Store) -> int:
    """How many marks of traces that got spans are not yet counted."""
    return int(store.query(STANDING_MARKS).rows[0][0])

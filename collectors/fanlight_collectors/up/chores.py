"""What `up` computes beside ingestion, each from a thread of its own.

The shapes of cascades, for the views on critical paths, width and branching; the rates of hours in which
engines and GPUs were scraped.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from fanlight_schema import measured, shape
from fanlight_schema.store import Store

log = logging.getLogger(__name__)

SHAPES_EVERY_S: Final = (
    5.0  # a run takes 0.4 s of CPU however little there is to do, none if there is nothing
)
RATES_EVERY_S: Final = 60.0  # a run takes 1 s of CPU, none where nothing was scraped
REST: Final = 4  # times as long as a run took: at most a fifth of one thread is taken from ingestion


class Chore:
    """Does what waits, again and again; `close` waits for the run that is under way."""

    def __init__(self, name: str, every_s: float, work: Callable[[], object]) -> None:
        self._name, self._every_s, self._work = name, every_s, work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"fanlight-{name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; what was not computed waits in the store."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause_s = self._every_s
        while not self._stop.wait(pause_s):
            began = time.monotonic()
            try:
                self._work()
            except Exception:  # nothing may end this thread for good; what waits is tried again
                log.warning("%s cannot be computed now", self._name, exc_info=True)
            pause_s = max(self._every_s, REST * (time.monotonic() - began))


def chores(store: Store) -> tuple[Chore, ...]:
    """All of them, not started."""
    return (
        Chore("shapes", SHAPES_EVERY_S, lambda: shape.compute(store)),
        Chore("measured-rates", RATES_EVERY_S, lambda: measured.price_hours(store)),
    )

"""Computes the shapes of cascades beside ingestion, for the views on critical paths, width and branching."""

import logging
import threading
import time
from typing import Final

from fanlight_schema import shape
from fanlight_schema.store import Store

log = logging.getLogger(__name__)

EVERY_S: Final = 5.0  # one run takes 0.4 s of CPU however little there is to do, and none if there is nothing
REST: Final = 4  # times as long as a run took: at most a fifth of one thread is taken from ingestion


class ShapeLoop:
    """Computes what waits, from a thread of its own; `close` waits for the run that is under way."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fanlight-shapes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; what was not computed waits in the store."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        pause_s = EVERY_S
        while not self._stop.wait(pause_s):
            began = time.monotonic()
            try:
                shape.compute(self._store)
            except Exception:  # nothing may end this thread for good; what waits is tried again
                log.warning("shapes of cascades cannot be computed now", exc_info=True)
            pause_s = max(EVERY_S, REST * (time.monotonic() - began))

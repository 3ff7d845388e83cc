"""What dead processes of this user left in the spool for this address: stored at the start, and soon after.

A process that is killed, and is the last one to run, has nobody else to deliver its spans.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from fanlight_collectors.otlp import MalformedBody, decode_protobuf
from fanlight_collectors.up.access import is_loopback, own_names
from fanlight_collectors.up.writer import ByteBudget, GroupWriter, NotStorable, QueueFull
from fanlight_schema.spool import DeadProcess, dead_processes
from fanlight_schema.store import StoreError

log = logging.getLogger(__name__)

EVERY_S: Final = 3.0
MAX_REQUEST_BYTES: Final = 4 * 2**20  # a fifth of what the receiver takes in one body
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})


class SpoolReader:
    """Takes in what is there for one address, from a thread of its own; `close` waits for it."""

    def __init__(
        self,
        folder: Path,
        is_own: Callable[[str], bool],
        writer: GroupWriter,
        budget: ByteBudget,
        say: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._is_own = is_own
        self._writer = writer
        self._budget = budget
        self._say = say
        self._stop = threading.Event()
        self.counts: Counter[str] = Counter({"spool_processes": 0, "spool_spans": 0})
        self._thread = threading.Thread(target=self._run, name="fanlight-spool", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Ends the thread; what it is about to store is stored, or stays in the spool."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._take_in()
            except Exception:  # a disk that fails must not end this thread for good
                log.warning("the spool in %s cannot be read now", self._folder, exc_info=True)
            self._stop.wait(EVERY_S)

    def _take_in(self) -> None:
        before = self.counts.copy()
        for dead in dead_processes(self._folder, self._is_own):
            with dead:
                if self._stop.is_set() or not self._store(dead):
                    break
                dead.remove()
                self.counts["spool_processes"] += 1
        new = self.counts - before
        if new["spool_processes"]:
            self._say(
                f"stored {new['spool_spans']} spans of {new['spool_processes']} processes that ended without "
                "delivering them"
            )

    def _store(self, dead: DeadProcess) -> bool:
        """Whether all of it is in the store, or can never be."""
        for request, spans in dead.requests(MAX_REQUEST_BYTES):
            try:
                self._budget.take(len(request))
            except QueueFull:
                return False
            try:
                self._writer.submit(decode_protobuf(request)).result()
                self.counts["spool_spans"] += spans
            except (NotStorable, MalformedBody) as exc:
                self.counts["spool_spans_refused"] += spans
                log.warning("%d spans of a dead process cannot be stored: %s", spans, exc)
            except StoreError:
                return False
            finally:
                self._budget.give_back(len(request))
        return True


def is_own_target(listen_host: str, port: int) -> Callable[[str], bool]:
    """Whether an endpoint, as spool files name it, is the one that is listened on here."""
    reaches_loopback = is_loopback(listen_host) or listen_host in _EVERYWHERE
    names = frozenset[str]() if is_loopback(listen_host) else own_names(listen_host)

    def is_own(target: str) -> bool:
        parts = urlsplit(target)
        host = parts.hostname or ""
        here = host in names or (reaches_loopback and is_loopback(host))
        return here and (parts.scheme, parts.port, parts.path) == ("http", port, "/v1/traces")

    return is_own

"""Group commit: everything that waits becomes one insert, then everyone who waited is answered.

ClickHouse makes a part of every insert, so 200 clients with small requests would bury it in parts. One thread
takes all queued requests at once. If their common insert fails, each is tried alone, so that one that cannot
be stored does not fail its neighbours.

Protobuf bodies come as they are: `read_bodies` has the engine read them, or decodes them here.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

from fanlight_collectors.otlp import MalformedBody, SpanBatch, merge_batches
from fanlight_collectors.otlp.rejects import REJECTS_TABLE, reject_columns
from fanlight_collectors.up.bodies import Outcome, read_bodies
from fanlight_schema.otel_traces import TABLE
from fanlight_schema.store import QueryError, Store, StoreError, StoreUnavailable, WriteFailed

log = logging.getLogger(__name__)

MAX_GROUP_BYTES: Final = 16 * 2**20  # about 20,000 spans of 30 attributes
ROW_BYTES: Final = 840  # of a decoded span, as it would be in a body
# While inserts follow each other the next one waits for company, since each costs the views on the table a
# fixed time (measured: 0.05 s of CPU for one row): as long as requests keep coming, but not longer than the
# last insert took.
QUIET_S: Final = 0.02
LINGER_S: Final = 0.1
MAX_LINGER_S: Final = 1.0
LINGER_AFTER_S: Final = 1.0  # an insert after a longer pause does not wait
QUEUE_LIMIT_BYTES: Final = 64 * 2**20  # inflated bodies that are being read, decoded or written

# ClickHouse's codes for data that no repetition makes storable: cannot parse, type mismatch, out of bound,
# too large array or string, decimal overflow, incorrect data (src/Common/ErrorCodes.cpp).
_DATA_ERRORS: Final = frozenset({6, 27, 53, 69, 117, 128, 131, 407})


class QueueFull(Exception):
    """More bytes are on their way than the queue may hold; try again."""


class NotStorable(Exception):
    """The store refuses these rows, and would again."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: bytes | SpanBatch
    stored: "Future[SpanBatch]" = field(default_factory=Future)

    @property
    def size_bytes(self) -> int:
        request = self.request
        return len(request) if isinstance(request, bytes) else request.rows * ROW_BYTES


class ByteBudget:
    """Bytes of bodies that are held at once, from the first read to the answer; thread-safe."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._used = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> None:
        with self._lock:
            if self._used + size > self._limit:
                raise QueueFull
            self._used += size

    def give_back(self, size: int) -> None:
        with self._lock:
            self._used -= size


class GroupWriter:
    """Writes requests to a store from one thread; `submit` is for any thread."""

    def __init__(self, store: Store, linger_s: float = LINGER_S) -> None:
        self._store = store
        self._linger_s = linger_s
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._last_insert_at = 0.0
        self._next_linger_s = linger_s
        self.counts = Counter({"inserts": 0, "requests": 0, "requests_not_storable": 0})
        self._inserter = ThreadPoolExecutor(1, "fanlight-insert")
        self._thread = threading.Thread(target=self._run, name="fanlight-writer", daemon=True)
        self._thread.start()

    def submit(self, request: bytes | SpanBatch) -> "Future[SpanBatch]":
        """Takes a protobuf body or rows; the future is done once the rows are in the store.

        It tells what was rejected or repaired, or holds why nothing is stored (MalformedBody, StoreError,
        NotStorable).
        """
        waiting = _Waiting(request)
        with self._changed:
            if self._closing:
                raise StoreError("the collector is stopping; send again to the next one")
            self._queue.append(waiting)
            self._changed.notify()
        return waiting.stored

    def close(self) -> None:
        """Writes what is queued, answers it, and ends the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._inserter.shutdown()

    def _run(self) -> None:
        while group := self._next_group():
            began = time.monotonic()
            self._write(group)
            self._last_insert_at = time.monotonic()
            took_s = self._last_insert_at - began if len(group) > 1 else 0.0
            self._next_linger_s = min(MAX_LINGER_S, max(self._linger_s, took_s))

    def _next_group(self) -> list[_Waiting]:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            now = time.monotonic()
            if now - self._last_insert_at < LINGER_AFTER_S:
                self._wait_for_company(until=now + self._next_linger_s)
            return self._take()

    def _wait_for_company(self, until: float) -> None:
        came = True
        while came and not self._is_enough() and time.monotonic() < until:
            before = len(self._queue)
            self._changed.wait(QUIET_S)
            came = len(self._queue) > before

    def _is_enough(self) -> bool:
        return self._closing or sum(waiting.size_bytes for waiting in self._queue) >= MAX_GROUP_BYTES

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._queue and (not group or size + self._queue[0].size_bytes <= MAX_GROUP_BYTES):
            group.append(self._queue.popleft())
            size += group[-1].size_bytes
        return group

    def _write(self, group: Sequence[_Waiting]) -> None:
        # A future holds whatever an insert raises, foreseen or not, so that this thread outlives it.
        inserted = self._inserter.submit(self._insert, [waiting.request for waiting in group])
        error = inserted.exception()
        if error is None:
            for waiting, outcome in zip(group, inserted.result(), strict=True):
                _answer(waiting, outcome)
        elif len(group) > 1 and not isinstance(error.__cause__, StoreUnavailable):
            log.warning("insert of %d requests failed, trying each alone: %s", len(group), error)
            for waiting in group:
                self._write([waiting])
        else:
            self._fail(group, error)

    def _fail(self, group: Sequence[_Waiting], error: BaseException) -> None:
        log.warning("insert of %d requests failed: %s", len(group), error)
        answer = error if _may_pass(error) else NotStorable(f"{type(error).__name__}: {error}")
        if isinstance(answer, NotStorable):
            self.counts["requests_not_storable"] += len(group)
        for waiting in group:
            waiting.stored.set_exception(answer)

    def _insert(self, requests: Sequence[bytes | SpanBatch]) -> list[Outcome]:
        outcomes = read_bodies(self._store, requests)
        rest = [outcome for outcome in outcomes if isinstance(outcome, SpanBatch)]
        self._store.insert(TABLE, merge_batches(rest))
        self._store.insert(REJECTS_TABLE, reject_columns(rest, "otlp"))
        self.counts["inserts"] += 1
        self.counts["requests"] += len(requests)
        return outcomes


def _answer(waiting: _Waiting, outcome: Outcome) -> None:
    if isinstance(outcome, MalformedBody):
        waiting.stored.set_exception(outcome)
    else:
        waiting.stored.set_result(outcome)


def _may_pass(error: BaseException) -> bool:
    """Whether the same rows may be stored later: the store is away or short of something."""
    cause = error.__cause__ if isinstance(error, WriteFailed) else error
    if isinstance(cause, QueryError):
        return cause.code not in _DATA_ERRORS
    return isinstance(cause, StoreError)  # anything else is the driver failing to encode the rows

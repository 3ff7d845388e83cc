"""Ended spans on their way to the collector: a queue bounded in bytes and one daemon thread.

The app's thread encodes a span and appends it; it never waits, for a lock longer than an append or for the
network. A collector that is away costs memory up to the limit, then disk (`_spool`), then spans, and all are
counted. At exit the last spans get `shutdown_timeout_s`, and nothing at all where nobody listens; what is not
delivered then stays in the spool, for whoever comes next.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias
from urllib.parse import urlsplit

from opentelemetry.context import (
    _SUPPRESS_HTTP_INSTRUMENTATION_KEY,
    _SUPPRESS_INSTRUMENTATION_KEY,
    Context,
    attach,
)

from fanlight._current import detach
from fanlight._finalisers import catch_up
from fanlight._guard import guard, logger
from fanlight._otlp import ScopedSpan, encode_own_span, encode_request
from fanlight._outcome import Outcome
from fanlight_schema import attributes as names

if TYPE_CHECKING:
    from fanlight._adopt import Adopted
    from fanlight._spans import LiveSpan
    from fanlight._spool import Spool

MAX_BATCH_BYTES: Final = 4 * 2**20  # a fifth of the 20 MiB that OTLP receivers take by default (confighttp)
WAKE_AT_BYTES: Final = 256 * 2**10  # enough for one request; below it spans wait for the interval
FIRST_BACKOFF_S: Final = 0.25
MAX_BACKOFF_S: Final = 15.0
ADOPT_EVERY_S: Final = 30.0  # how often the spool is searched for what dead processes left
LAST_ADOPTION_S: Final = 0.5  # at the end of a process, whose killed workers may have left something
SPAN_OVERHEAD_BYTES: Final = 64  # a bytes object and its place in the queue, on 64-bit CPython


Send: TypeAlias = "Callable[[bytes], Outcome]"
# Delivers what dead processes left, in requests of at most this many bytes.
Adopter: TypeAlias = "Callable[[Send, int], Adopted]"


class Sender(Protocol):
    """Delivers one encoded request."""

    def send(self, payload: bytes, timeout_s: float) -> Outcome: ...

    def close(self) -> None: ...


@dataclass(slots=True)
class ExportCounts:
    """What became of ended spans: `ended` = delivered + rejected + dropped + spooled + still queued."""

    ended: int = 0
    delivered: int = 0
    rejected: int = 0  # the collector would not have them
    dropped: int = 0  # the queue was full, or the process ended first, and the spool did not have them
    spooled: int = 0  # the same, but they are in the spool: another process, or this one later, delivers them
    unspooled: int = 0  # records that the spool could not take: a full disk, no permission, its size limit
    taken_over: int = 0  # delivered for processes that died
    taken_over_refused: int = 0  # of theirs, the collector would not have these


class Drain:
    """Somebody waits for the queue to be empty. Impatient: not for a collector that is not there."""

    __slots__ = ("deadline", "delivered", "done", "patient")

    def __init__(self, deadline: float, patient: bool) -> None:
        self.deadline = deadline  # monotonic
        self.patient = patient
        self.delivered = False
        self.done = threading.Event()

    def finish(self, delivered: bool) -> None:
        self.delivered = delivered
        self.done.set()


class ExportSink:
    """The sink of a process that exports. One instance per `instrument()`."""

    def __init__(
        self,
        make_sender: Callable[[], Sender],
        describe_resource: Callable[[], Mapping[str, object]],
        scope: tuple[str, str],
        *,
        url: str = "",
        queue_limit_bytes: int,
        interval_s: float,
        timeout_s: float,
        spool: Spool | None = None,
        adopt: Adopter | None = None,
    ) -> None:
        self.spools = spool is not None
        self._spool = spool
        self._adopt = adopt
        self._make_sender = make_sender
        self._describe_resource = describe_resource
        self._scope = scope
        self._shown_url = _without_secrets(url)
        self._limit = queue_limit_bytes
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self.counts = ExportCounts()
        self._reset()

    def _reset(self) -> None:
        # Reentrant: a span ended by a finaliser may come while this thread is in `accept`.
        self._lock = threading.RLock()
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._unspooled: set[int] = set()  # id() of those queued that the spool had no place for
        self._wake: SimpleQueue[Drain | None] = SimpleQueue()  # put() is reentrant, Event.set() is not
        self._woken = False
        self._worker: threading.Thread | None = None
        self._closed = False
        self._sender: Sender | None = None  # made at the first request; a forked child makes its own
        self._in_flight: list[bytes] = []
        self._batch_bytes = MAX_BATCH_BYTES
        self._failures = 0
        self._retry_after_s = 0.0
        self._reachable = True
        self._drains = 0  # that wait
        self._adopt_at = 0.0  # monotonic

    def announce(self, span: LiveSpan, told: bytes) -> None:
        """Hold in the spool what is to be told of an open span if the process dies."""
        with self._lock:
            # Asked for here: another thread may have ended it, and would not take this back.
            if self._spool is not None and not self._closed and not span.ended:
                self._spool.announce(span.span_id, told)

    def forget(self, span: LiveSpan) -> None:
        """Take back what was announced."""
        key = span.trace_id.to_bytes(16, "big") + span.span_id.to_bytes(8, "big")
        with self._lock:
            if self._spool is not None and not self._closed:
                self._spool.forget(span.span_id, key)

    def accept(self, span: LiveSpan) -> None:
        """Queue an ended span; leave it to the spool where the queue is full, drop it where that is, too."""
        self.accept_encoded(encode_own_span(span), span)

    def accept_encoded(self, data: bytes, span: LiveSpan | None = None) -> None:
        """The same for a span that is encoded already."""
        size = len(data) + SPAN_OVERHEAD_BYTES
        with self._lock:
            self.counts.ended += 1
            spool = self._spool
            kept = False
            # Spans of the app's own tracers may hold prompts, which never lie on a disk.
            if spool is not None and not self._closed and type(data) is not ScopedSpan:
                kept = spool.add(data, 0 if span is None else span.span_id)
            if self._closed or self._bytes + size > self._limit:
                if kept and spool is not None:
                    spool.left += 1
                    self.counts.spooled += 1
                else:
                    self.counts.dropped += 1
                    if span is not None and span.cascade is not None:
                        span.cascade.action.dropped += 1
                return
            self._queue.append(data)
            self._bytes += size
            if spool is not None and not kept:
                self._unspooled.add(id(data))
            if self._worker is None:
                self._start_worker()
            if self._bytes >= WAKE_AT_BYTES and not self._woken and not self._failures:
                self._woken = True
                self._wake.put(None)

    @property
    def queued_bytes(self) -> int:
        """Memory that waiting spans take."""
        return self._bytes

    def flush(self, timeout_s: float) -> bool:
        """Deliver what is queued; True if nothing is left. Takes no longer than `timeout_s`."""
        return self._drain_on_worker(timeout_s, patient=True)

    def shutdown(self, timeout_s: float, *, ending: bool = False) -> bool:
        """Deliver what is queued, leave the rest to the spool or count it, take no more; True if all came."""
        if self._closed:
            return True
        delivered = self._drain_on_worker(timeout_s, patient=False)
        with self._lock:
            self._closed = True
            left = [*self._in_flight, *self._queue]
            kept = self._leave_to_spool(left, ending)
        self._wake.put(None)
        if left:
            which = "they" if kept == len(left) else f"{kept} of them"
            logger.warning(
                "%d spans could not be delivered before the process ended%s",
                len(left),
                f"; {which} are in the spool, and the next traced process or `fanlight up` delivers them"
                if kept
                else "",
            )
        if self._worker is None:
            self._close_sender()
        return delivered

    def _leave_to_spool(self, left: list[bytes], ending: bool) -> int:
        """Close the spool and count what becomes of these; how many of them it has."""
        spool, kept = self._spool, 0
        if spool is not None:
            lost = set[int]() if spool.keep(left) else self._unspooled
            kept = sum(type(data) is not ScopedSpan and id(data) not in lost for data in left)
            spool.close(kept, ending=ending)
            self.counts.unspooled = spool.refused
        self.counts.spooled += kept
        self.counts.dropped += len(left) - kept
        return kept

    def before_fork(self) -> None:
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork(self) -> None:
        """In a forked child: what is queued is the parent's to deliver."""
        self.counts = ExportCounts()
        if self._spool is not None:
            self._spool.after_fork()
        self._reset()

    def _close_sender(self) -> None:
        if self._sender is not None:
            self._sender.close()

    def _start_worker(self) -> None:
        worker = threading.Thread(target=self._run, name="fanlight-export", daemon=True)
        self._worker = worker
        try:
            worker.start()
        except RuntimeError:  # the interpreter is ending; shutdown() delivers
            self._worker = None

    def _run(self) -> None:
        attach(_suppressing())
        wake = self._wake
        while not self._closed:
            drain: Drain | None = None
            with suppress(Empty):
                drain = wake.get(timeout=self._pause_s())
            self._woken = False
            catch_up()
            with guard("export.send"):
                if drain is None:
                    self._send_all()
                else:
                    self._answer(drain)
        self._close_sender()

    def _answer(self, drain: Drain) -> None:
        delivered = False
        with self._lock:
            self._drains -= 1
        try:
            delivered = self._drain(drain)
            if delivered and not drain.patient:  # the process ends: what its workers left goes along
                self._take_over(min(drain.deadline, time.monotonic() + LAST_ADOPTION_S))
        finally:
            drain.finish(delivered)

    def _send_all(self) -> None:
        while self._queue and not self._closed and self._send_batch(self._timeout_s):
            continue
        now = time.monotonic()
        if not self._queue and not self._failures and now >= self._adopt_at:
            self._adopt_at = now + ADOPT_EVERY_S
            self._take_over(now + ADOPT_EVERY_S)

    def _take_over(self, deadline: float) -> None:
        """Deliver what dead processes left for the same collector, as long as it takes it."""
        if self._adopt is None or self._closed or not self._reachable:
            return

        def send(payload: bytes) -> Outcome:
            if self._queue:
                self._send_batch(self._timeout_s)  # the own ones must not wait for long
            left_s = deadline - time.monotonic()
            if left_s <= 0 or self._closed or self._drains or self._failures:
                return Outcome("retry", "not now")
            return self._ready_sender().send(payload, min(left_s, self._timeout_s))

        adopted = self._adopt(send, self._batch_bytes)
        self.counts.taken_over += adopted.delivered
        self.counts.taken_over_refused += adopted.refused
        if self._spool is not None and (adopted.delivered or adopted.refused):
            with self._lock:
                self._spool.measure_again()

    def _ready_sender(self) -> Sender:
        if self._sender is None:
            self._sender = self._make_sender()
        return self._sender

    def _pause_s(self) -> float:
        if not self._failures:
            return self._interval_s
        backoff_s = min(FIRST_BACKOFF_S * 2.0 ** min(self._failures, 10), MAX_BACKOFF_S)
        return max(backoff_s, self._retry_after_s)

    def _drain_on_worker(self, timeout_s: float, *, patient: bool) -> bool:
        """The worker drains, so that a connection that hangs holds nobody longer than asked for."""
        drain = Drain(time.monotonic() + timeout_s, patient)
        if self._worker is None:  # nothing was ever queued, or no thread can be started any more
            token = attach(_suppressing())
            try:
                return self._drain(drain)
            finally:
                detach(token)
        with self._lock:
            self._drains += 1
        self._wake.put(drain)
        return drain.done.wait(timeout_s) and drain.delivered

    def _drain(self, drain: Drain) -> bool:
        """Send until nothing is queued, time is up, or, for the impatient, nobody listens."""
        backoff_s = FIRST_BACKOFF_S
        while self._queue and not self._closed:
            left_s = drain.deadline - time.monotonic()
            if left_s <= 0:
                break
            if self._send_batch(min(left_s, self._timeout_s)):
                continue
            if not (drain.patient or self._reachable):
                break
            time.sleep(max(0.0, min(backoff_s, drain.deadline - time.monotonic())))
            backoff_s *= 2
        return not self._queue

    def _send_batch(self, timeout_s: float) -> bool:
        """Send the oldest spans; False if they have to wait."""
        batch, size = self._take()
        self._in_flight = batch
        try:
            payload = encode_request(self._resource(), *self._scope, batch)
            outcome = self._ready_sender().send(payload, timeout_s)
            return self._settle(batch, size, outcome)
        finally:
            self._in_flight = []

    def _resource(self) -> Mapping[str, object]:
        counts = self.counts
        lost = counts.dropped + counts.rejected + counts.taken_over_refused
        described = self._describe_resource()
        return {**described, names.DROPPED_SPANS: lost} if lost else described

    def _take(self) -> tuple[list[bytes], int]:
        queue, size = self._queue, 0
        batch: list[bytes] = []
        while queue and (not batch or size + len(queue[0]) <= self._batch_bytes):
            data = queue.popleft()
            batch.append(data)
            size += len(data)
        return batch, size

    def _settle(self, batch: list[bytes], size: int, outcome: Outcome) -> bool:
        verdict, count = outcome.verdict, len(batch)
        self._reachable = verdict != "unreachable"
        if verdict in ("retry", "unreachable"):
            self._put_back(batch, outcome)
            return False
        if verdict == "too_large" and count > 1:
            self._batch_bytes = size // 2
            self._queue.extendleft(reversed(batch))
            return True
        refused = outcome.rejected if verdict == "delivered" else count
        if refused:
            self._log_rejected(refused, outcome)
        self._failures = 0
        with self._lock:
            self.counts.delivered += count - refused
            self.counts.rejected += refused
            self._bytes -= size + count * SPAN_OVERHEAD_BYTES
            self._unspooled.difference_update(map(id, batch))
            if self._spool is not None:
                self._tidy(self._spool)
        return True

    def _tidy(self, spool: Spool) -> None:
        if spool.left:
            self._adopt_at = 0.0  # what it leaves for others may as well be delivered here
        if spool.tidy(self._queue, self._bytes):
            self._unspooled.clear()
        self.counts.unspooled = spool.refused

    def _put_back(self, batch: list[bytes], outcome: Outcome) -> None:
        self._queue.extendleft(reversed(batch))
        self._failures += 1
        self._retry_after_s = outcome.retry_after_s or 0.0
        if self._failures == 1:
            logger.warning(
                "%s %s (%s); up to %d bytes of spans are kept and tried again. `fanlight up` starts a "
                "collector; OTEL_EXPORTER_OTLP_ENDPOINT names another one",
                "spans cannot be delivered to" if self._reachable else "nothing listens at",
                self._shown_url,
                outcome.detail,
                self._limit,
            )

    def _log_rejected(self, refused: int, outcome: Outcome) -> None:
        if not self.counts.rejected:
            logger.warning(
                "the collector rejected %d spans (%s)", refused, outcome.detail or "partial success"
            )


def _without_secrets(url: str) -> str:
    """Scheme, host and port; a login before the host or a query behind it may hold a token."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _suppressing() -> Context:
    """A context in which no instrumentation traces our own requests."""
    return Context({_SUPPRESS_INSTRUMENTATION_KEY: True, _SUPPRESS_HTTP_INSTRUMENTATION_KEY: True})

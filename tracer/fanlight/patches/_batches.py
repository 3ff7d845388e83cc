"""Batch jobs: each line of their results is a call, counted when the results are read.

Whoever reads them, and however often, writes the same spans: trace and span ids are made of the results' id
and the line's own, and the store counts a span once. So their start must not be the time of reading: it is
the line's own time, else the job's end, else the file's, else when this process read it first. The job is
an action of its own, below the one that reads.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from fanlight._cascade import Action, Cascade, action_here
from fanlight._spans import record_span
from fanlight.capture.batches import BatchLine, read_job, read_line, tells_an_end
from fanlight.capture.outcome import outcome_of
from fanlight.capture.providers import provider_of
from fanlight.capture.values import decode_object, mappings
from fanlight.capture.wire_format import Header
from fanlight.patches._attributes import answer_attributes
from fanlight.patches._readings import BodyTaker, Recent
from fanlight_schema import attributes as names
from fanlight_schema.attributes import Origin

MAX_LINE_BYTES = 32 * 2**20  # a longer one is let go
MAX_JOB_BYTES = 32 * 2**20  # of a job's own description, which may have its results in it
MAX_JOBS = 1_000

# When jobs ended, seconds since 1970, by the id under which their results are read.
_ended_s: Recent[float] = Recent(MAX_JOBS)


def results_at(path: str, server: tuple[str, int | None]) -> BodyTaker | None:
    """Who wants the answer of a GET: results of a job, or a job's own state; None for anything else."""
    head, _, last = path.rstrip("/").rpartition("/")
    above, _, parent = head.rpartition("/")
    if last == "content" and above.endswith("/files"):
        return Results(parent, server)
    if last == "results" and above.endswith("/batches"):
        return Results(parent, server)
    if parent == "files" and last.endswith(_DOWNLOAD):  # Gemini
        return Results(last.removesuffix(_DOWNLOAD), server)
    return Job(server) if "batches" in (parent, last) or "/batch/jobs" in path else None


_DOWNLOAD = ":download"


class Job:
    """Takes the state of a job, or of a list of some: when they ended, and the results that stand in them."""

    def __init__(self, server: tuple[str, int | None]) -> None:
        self._server = server
        self._parts: list[bytes] = []
        self._bytes = 0

    def begin(self, content_type: str, header: Header) -> None:
        """Nothing is known yet."""

    def feed(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._bytes <= MAX_JOB_BYTES:
            self._parts.append(data)
        else:
            self._parts.clear()

    def finish(self) -> None:
        body = b"".join(self._parts)
        told = (decode_object(body) if tells_an_end(body) else None) or {}
        listed = mappings(told.get("data")) + mappings(told.get("operations"))
        for job in (told, *(entry for _, entry in listed)):
            self._take(job)

    def _take(self, told: Mapping[str, object]) -> None:
        job = read_job(told)
        if job is None or job.ended_s is None:
            return
        for results in job.results:
            if results not in _ended_s:  # lines that were read before the end was known stay where they are
                _ended_s.put(results, job.ended_s)
        if job.lines:
            lines = Lines(job.name, self._server)
            for line in job.lines:
                lines.record(line, job.ended_s)


class Results:
    """Takes a file of lines; one that is no batch's is let go at its first line."""

    def __init__(self, name: str, server: tuple[str, int | None]) -> None:
        self._name = name
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._wanted = True
        self._lines = Lines(name, server)
        self._ended_s = 0.0

    def begin(self, content_type: str, header: Header) -> None:
        """What the content is called tells nothing: OpenAI says application/octet-stream."""
        known_s = _ended_s.get(self._name)
        self._ended_s = known_s or _date_s(header("last-modified")) or time.time()
        if known_s is None:
            _ended_s.put(self._name, self._ended_s)

    def feed(self, data: bytes) -> None:
        head, newline, tail = data.rpartition(b"\n")
        if newline and self._wanted:
            whole = b"".join((*self._partial, head))
            self._partial, self._partial_bytes = [], 0
            for line in whole.split(b"\n"):
                self._line(line)
        self._partial_bytes += len(tail)
        if self._partial_bytes <= MAX_LINE_BYTES and self._wanted:
            self._partial.append(tail)
        else:
            self._partial = []

    def finish(self) -> None:
        self._line(b"".join(self._partial))

    def _line(self, data: bytes) -> None:
        if not self._wanted or not data.strip():
            return
        line = read_line(data) if b'"custom_id"' in data or b'"key"' in data else None
        if line is not None:
            self._lines.record(line, self._ended_s)
        elif not data.lstrip().startswith(b'{"'):
            self._wanted = False  # a file of something else


class Lines:
    """Writes the spans of one job's lines."""

    def __init__(self, name: str, server: tuple[str, int | None]) -> None:
        self._name = name
        self._server = server
        trace_id = _digest(name, 16)
        here = action_here()
        origin: Origin = "user" if here is None else here.origin
        self._trace_id = trace_id
        self._action = Action(
            trace.format_trace_id(trace_id),
            "batch",
            source="inferred",
            workload="batch",
            origin=origin,
            user=None if here is None else here.user,
            session=None if here is None else here.session,
            parent_id=None if here is None else here.id or None,
        )

    def record(self, line: BatchLine, ended_s: float) -> None:
        """Write a line's span; `ended_s` is its time where it says none."""
        model = line.answer.model
        operation = line.endpoint.operation
        start_ns = int((line.created_s or ended_s) * 1e9)
        record_span(
            f"{operation} {model}" if model else operation,
            "call",
            kind=SpanKind.CLIENT,
            attributes=self._attributes(line),
            identity=(self._trace_id, _digest(f"{self._name} {line.custom_id}", 8)),
            times_ns=(start_ns, start_ns),
            cascade=Cascade(self._action),
            error_type=None if line.status in (None, 200) else str(line.status),
        )

    def _attributes(self, line: BatchLine) -> dict[str, AttributeValue]:
        host, port = self._server
        said: dict[str, Any] = {
            names.OPERATION_NAME: line.endpoint.operation,
            names.WIRE: True,
            names.REQUESTS: 1,
            names.REQUEST_OUTCOME: outcome_of(line.status, "completed", None, began=False),
            names.PROVIDER_NAME: provider_of(host, line.endpoint.format.provider),
            names.SERVER_ADDRESS: host,
            **answer_attributes(line.answer),
        }
        if line.status is not None:
            said[names.HTTP_STATUS_CODE] = line.status
        if port is not None:
            said[names.SERVER_PORT] = port
        if self._action.parent_id is not None:
            said[names.PARENT_ACTION_ID] = self._action.parent_id
        return said


def _digest(name: str, size: int) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:size], "big") or 1


def _date_s(written: str | None) -> float | None:
    """A date as HTTP writes it, in seconds since 1970."""
    try:
        return None if written is None else parsedate_to_datetime(written).timestamp()
    except ValueError:
        return None

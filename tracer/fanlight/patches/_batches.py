"""Batch jobs: each line of their results is a call, counted when the results are read.

Whoever reads them, and however often, writes the same spans: trace and span ids are made of the results' id
and the line's own, and the store counts a span once. The job is an action of its own, below the one that
reads.
"""

from __future__ import annotations

import hashlib
import time
from datetime import datetime
from typing import Any

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from fanlight._cascade import Action, Cascade, action_here
from fanlight._spans import record_span
from fanlight.capture.batches import BatchLine, read_line
from fanlight.capture.outcome import outcome_of
from fanlight.capture.providers import provider_of
from fanlight.capture.values import decode_object, text
from fanlight.patches._attributes import answer_attributes
from fanlight.patches._readings import BodyTaker, Recent
from fanlight_schema import attributes as names
from fanlight_schema.attributes import Origin

MAX_LINE_BYTES = 32 * 2**20  # a longer one is let go
MAX_JOB_BYTES = 2**20  # of a job's own description
MAX_JOBS = 1_000

# When jobs ended, seconds since 1970, by the id under which their results are read. The start of a span must
# be the same whenever it is read, and not every line says when it was answered.
_ended_s: Recent[float] = Recent(MAX_JOBS)


def results_at(path: str, server: tuple[str, int | None]) -> BodyTaker | None:
    """Who wants the answer of a GET: results of a job, or a job's own state; None for anything else."""
    head, _, last = path.rstrip("/").rpartition("/")
    above, _, parent = head.rpartition("/")
    if last == "content" and above.endswith("/files"):
        return Results(parent, server)
    if last == "results" and above.endswith("/batches"):
        return Results(parent, server)
    return Job() if parent == "batches" else None


class Job:
    """Takes the state of a job, for the time when it ended."""

    def __init__(self) -> None:
        self._body = b""

    def begin(self, content_type: str) -> None:
        """Nothing is known yet."""

    def feed(self, data: bytes) -> None:
        if len(self._body) <= MAX_JOB_BYTES:
            self._body += data

    def finish(self) -> None:
        job = decode_object(self._body) or {}
        ended_s = _seconds(job.get("completed_at")) or _seconds(job.get("ended_at"))
        for key in ("output_file_id", "error_file_id", "id"):
            results = text(job.get(key))
            if results is not None and ended_s is not None:
                _ended_s.put(results, ended_s)


class Results:
    """Takes a file of lines; one that is no batch's is let go at its first line."""

    def __init__(self, name: str, server: tuple[str, int | None]) -> None:
        self._name = name
        self._server = server
        self._partial: list[bytes] = []
        self._partial_bytes = 0
        self._wanted = True
        self._ended_s = _ended_s.get(name) or time.time()
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

    def begin(self, content_type: str) -> None:
        """What the content is called tells nothing: OpenAI says application/octet-stream."""

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
        line = read_line(data) if b'"custom_id"' in data else None
        if line is not None:
            self._record(line)
        elif not data.lstrip().startswith(b'{"'):
            self._wanted = False  # a file of something else

    def _record(self, line: BatchLine) -> None:
        model = line.answer.model
        operation = line.endpoint.operation
        start_ns = int((line.created_s or self._ended_s) * 1e9)
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


def _seconds(value: object) -> float | None:
    """OpenAI gives seconds since 1970, Anthropic a date."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    try:
        return (
            datetime.fromisoformat(value.replace("Z", "+00:00")).timestamp()
            if isinstance(value, str)
            else None
        )
    except ValueError:
        return None

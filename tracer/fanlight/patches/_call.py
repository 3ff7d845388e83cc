"""A model call and the requests that it took, from the first byte sent to the last one received.

An operation of an SDK, or a bare HTTP request, opens a `Call`; every physical request below it is a
`Request`. The call's span ends once, when the operation has returned and its last request has ended: a
stream's long after.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable

from opentelemetry.trace import SpanKind

from fanlight._announce import forget
from fanlight._finalisers import in_collector, put_off
from fanlight._guard import guarded, swallow
from fanlight._runtime import runtime
from fanlight._spans import error_type_of, start_as, start_span
from fanlight.capture.answer import Usage
from fanlight.capture.body import AnswerReader, reader_for
from fanlight.capture.endpoints import endpoint_at
from fanlight.capture.outcome import End, completed_usage, end_of_error, outcome_of, unreported_usage
from fanlight.capture.request import Asked, text_bytes
from fanlight.capture.wire_format import Endpoint, Header, no_header
from fanlight.patches._announce_call import announce_call
from fanlight.patches._attributes import (
    call_attributes,
    call_template,
    ended_with,
    request_attributes,
    spokesman_of,
)
from fanlight.patches._background import AWAITED, expect
from fanlight.patches._content import keeps, put_content
from fanlight_schema import attributes as names
from fanlight_schema.attributes import RequestOutcome, UsageSource

clock_ns = time.perf_counter_ns


Inflate = Callable[[bytes], bytes]  # undoes a content encoding, piece by piece


class Request:
    """One physical request. Times are of `clock_ns`; `None` is not known (yet)."""

    __slots__ = (
        "_error_type",
        "_sent",
        "asked_bytes",
        "call",
        "content",
        "end",
        "ended",
        "ended_ns",
        "error_name",
        "first_content_ns",
        "host",
        "inflate",
        "last_byte_ns",
        "path",
        "port",
        "reader",
        "started_ns",
        "status",
        "waited_ns",
    )

    def __init__(
        self, call: Call, host: str, port: int | None, path: str, sent: bytes | None, started_ns: int
    ) -> None:
        self.call = call
        self._sent = sent  # the body, until the request ends
        self.asked_bytes: int | None = None  # of text in that body, where it has to speak for the usage
        self.content: dict[str, str] | None = None  # what was said, where the app keeps it
        self.host = host
        self.port = port
        self.path = path
        self.started_ns = started_ns
        self.status: int | None = None
        self.reader: AnswerReader | None = None
        self.inflate: Inflate | None = None
        self.first_content_ns: int | None = None
        self.last_byte_ns: int | None = None
        self.waited_ns = 0  # the consumer let the stream wait
        self.end: End = "completed"
        self.error_name: str | None = None  # the class of the exception that ended it
        self._error_type: str | None = None
        self.ended = False
        self.ended_ns = started_ns
        requests = call.requests
        requests.append(self)
        if len(requests) == 1:
            call.span.template = call_template(call.endpoint, call.asked, host, port)
        try:
            announce_call(call, sent)
        except Exception as error:  # noqa: BLE001  (a guard without its call)
            swallow("call.announce", error)

    def headers_came(
        self, status: int, content_type: str, inflate: Inflate | None, header: Header = no_header
    ) -> None:
        """The answer has begun; its body follows."""
        self.status = status
        self.inflate = inflate
        # What an SDK sends may go to another endpoint than it says: Anthropic's to Bedrock or Vertex.
        endpoint = endpoint_at(self.path) or self.call.endpoint
        keep_text = runtime.content is not None and keeps(names.OUTPUT_MESSAGES)
        self.reader = reader_for(endpoint, content_type, header, keep_text=keep_text)

    def feed(self, chunk: bytes, now_ns: int) -> None:
        """Bytes of the body have passed."""
        self.last_byte_ns = now_ns
        reader = self.reader
        if reader is None:
            return
        try:
            reader.feed(chunk if self.inflate is None else self.inflate(chunk))
            if self.first_content_ns is None and reader.content_events:
                self.first_content_ns = now_ns
            if reader.done:
                self.finish("completed")
        except Exception as error:  # noqa: BLE001  (a guard without its call)
            swallow("call.feed", error)

    def whole(self, body: bytes) -> None:
        """The body has come at once, with its content encoding undone."""
        self.inflate = None
        try:
            self.feed(body, clock_ns())
        finally:
            self.finish("completed")

    def failed(self, error: BaseException) -> None:
        """An exception came out of the request or out of its body."""
        if not self.ended:
            self.error_name = type(error).__name__
            self._error_type = error_type_of(error)
            self.finish(end_of_error(self.error_name))

    def finish(self, end: End) -> None:
        """The request is over; only the first call counts."""
        if self.ended:
            return
        self.ended = True
        self.end = end
        last_byte_ns = self.last_byte_ns
        self.ended_ns = clock_ns() if last_byte_ns is None or self.error_name is not None else last_byte_ns
        try:
            reader = self.reader
            if reader is not None:
                reader.finish()
            if runtime.content is not None or reader is None or reader.answer.usage is None:
                self._finish_reading()
        except Exception as error:  # noqa: BLE001  (a guard without its call)
            swallow("call.read", error)
        self._sent = None
        if not self.call.running:
            self.call.settle()

    def _finish_reading(self) -> None:
        sent, reader = self._sent, self.reader
        if runtime.content is not None and not in_collector():  # the app's `redact` may take a lock
            self.content = {}
            put_content(self.content, sent, None if reader is None else reader.answer.text)
        if reader is not None and reader.answer.usage is not None:
            return
        if sent is not None and (self.outcome == "unknown" or (reader is not None and reader.content_events)):
            self.asked_bytes = text_bytes(sent)

    @property
    def streamed(self) -> bool:
        """The answer came as a stream of events."""
        return self.reader is not None and self.reader.streamed and (self.status or 0) < 400

    @property
    def outcome(self) -> RequestOutcome:
        reader = self.reader
        began = reader is not None and reader.content_events > 0
        failed = reader is not None and reader.answer.error_type is not None  # with a status of 200 too
        return outcome_of(self.status, "error" if failed else self.end, self.error_name, began=began)

    @property
    def usage(self) -> tuple[Usage, UsageSource] | None:
        """Tokens as reported; else as estimated, if the model may have worked and the answer is not whole."""
        reader = self.reader
        if reader is None:
            return unreported_usage(self.asked_bytes, 0, 0)
        if reader.answer.usage is not None:
            return completed_usage(reader.answer.usage, reader.content_events, reader.content_bytes)
        return unreported_usage(self.asked_bytes, reader.content_events, reader.content_bytes)

    @property
    def error_type(self) -> str | None:
        """What went wrong, in one short word; None if nothing did."""
        if self._error_type is not None:
            return self._error_type
        if self.status is not None and self.status >= 400:
            return str(self.status)
        return None if self.reader is None else self.reader.answer.error_type


class Call:
    """One model call. `running` while its operation has not returned."""

    __slots__ = (
        "_clock_ns",
        "_error_type",
        "_wall_ns",
        "asked",
        "endpoint",
        "made_of",
        "requests",
        "running",
        "span",
    )

    def __init__(self, endpoint: Endpoint, asked: Asked, *, made_of: object = None) -> None:
        self.endpoint = endpoint
        self.made_of = made_of  # what its operation was called with: a call is opened once for it
        self.asked = asked
        self.requests: list[Request] = []
        self.running = True
        self._error_type: str | None = None
        self._wall_ns = time.time_ns()
        self._clock_ns = clock_ns()
        self.span = start_as(call_template(endpoint, asked, None, None), None, self._wall_ns)
        open_calls[id(self)] = self

    def returned(self, error: BaseException | None) -> None:
        """The operation is over. What it has left open is a stream that its caller holds now."""
        self.running = False
        if error is not None:
            self._error_type = error_type_of(error)
        if error is not None or len(self.requests) > 1:
            for request in self.requests:
                if error is not None or (request.status or 500) >= 400:
                    request.finish("closed")
        self.settle()

    def settle(self) -> None:
        """End the span if nothing is left to happen."""
        if self.running:
            return
        for request in self.requests:
            if not request.ended:
                return
        try:
            _end(self)
        except Exception as error:  # noqa: BLE001  (a guard without its call)
            swallow("call.end", error)

    def abandon(self) -> None:
        """End now, with what is known: the process or its tracing ends before the call does."""
        if self.running:
            self.running = False
            self._error_type = "abandoned"
        for request in self.requests:
            request.finish("abandoned")
        self.settle()

    def discard(self) -> None:
        """It was no call after all (a redirect): leave no trace."""
        self.span.ended = True  # so that it is never exported
        forget(self.span)
        open_calls.pop(id(self), None)

    def speaks(self, request: Request) -> None:
        """Its span names the server that this request went to."""
        self.span.template = call_template(self.endpoint, self.asked, request.host, request.port)

    @property
    def error_type(self) -> str | None:
        """What the operation raised, else what went wrong with its last request; None if nothing did."""
        return self._error_type or (self.requests[-1].error_type if self.requests else None)

    def wall_ns(self, at_clock_ns: int) -> int:
        """A `clock_ns` time as ns since 1970."""
        return self._wall_ns + at_clock_ns - self._clock_ns


# Calls whose span has not ended, so that those held open at exit are not lost.
open_calls: dict[int, Call] = {}
os.register_at_fork(after_in_child=open_calls.clear)


@guarded
def end_open_calls() -> None:
    """End what is still open, marked as abandoned: called before the tracer's last flush."""
    for call in list(open_calls.values()):
        call.abandon()


def _end(call: Call) -> None:
    if in_collector():
        put_off(functools.partial(_end, call))
        return
    if open_calls.pop(id(call), None) is None:
        return
    span, requests = call.span, call.requests
    if len(requests) == 1:
        span.add(*ended_with(requests[0]))
    else:
        for resend_count, request in enumerate(requests):
            _write_request_span(call, request, resend_count)
        if requests:
            call.speaks(spokesman_of(requests))
        span.add(call_attributes(requests))
    error_type = call.error_type
    if error_type is not None:
        span.error(error_type)
    if not requests:
        span.end()
    elif len(requests) == 1:
        span.end(call.wall_ns(requests[0].ended_ns))
    else:
        span.end(call.wall_ns(max(request.ended_ns for request in requests)))
    if call.endpoint is AWAITED:
        expect(call)
    requests.clear()  # each holds its call: they would lie there until a collection, prompt and all
    call.made_of = None


def _write_request_span(call: Call, request: Request, resend_count: int) -> None:
    span = start_span(
        f"POST {request.path}",
        "request",
        kind=SpanKind.CLIENT,
        attributes=request_attributes(call.asked, request, resend_count),
        start_time_ns=call.wall_ns(request.started_ns),
        parent=call.span.context,
    )
    if request.error_type is not None:
        span.error(request.error_type)
    span.end(call.wall_ns(request.ended_ns))

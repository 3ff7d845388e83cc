"""Spans of fanlight: started, made current by whoever owns them, ended exactly once.

    span = start_span("chat gpt-4o", "call", kind=SpanKind.CLIENT, attributes={...})
    token = context.attach(span.context)
    ...
    context.detach(token)
    span.end()

A `LiveSpan` is an OpenTelemetry API span with a record of its own, so it is exported whatever the app's
sampler says. Where the app has a provider, that provider's tracer starts a twin: its ids, its sampling decision,
its processors. So the app's exporters see exactly what its sampler chose, and the app's own spans below see the
twin's trace flags.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, get_current, get_value
from opentelemetry.trace import (
    INVALID_SPAN_CONTEXT,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.util.types import Attributes, AttributeValue

from fanlight._cascade import Cascade, cascade_in, current_cascade, inferred_action, with_cascade
from fanlight._guard import guard
from fanlight._runtime import runtime
from fanlight_schema import attributes as names
from fanlight_schema.attributes import SpanRole

__all__ = ["LiveSpan", "current_cascade", "start_span", "suppressed"]

SAMPLED = TraceFlags(TraceFlags.SAMPLED)
STEP_ROLES = ("agent", "tool")

_starting = guard("spans.start")
_ending = guard("spans.end")


def suppressed() -> bool:
    """True where instrumentation is switched off: our own export, or code that asked for it."""
    return bool(get_value(_SUPPRESS_INSTRUMENTATION_KEY) or get_value("suppress_instrumentation"))


class LiveSpan(trace.Span):
    """A span of ours between start and end. Setting things after the end does nothing."""

    def __init__(
        self,
        name: str,
        role: SpanRole,
        kind: SpanKind,
        attributes: Mapping[str, AttributeValue] | None,
        start_time_ns: int,
        context: Context,
    ) -> None:
        self.name = name
        self.role = role
        self.kind = kind
        self.start_time_ns = start_time_ns
        self.end_time_ns: int | None = None
        self.attributes: dict[str, AttributeValue] = dict(attributes) if attributes else {}
        self.status = StatusCode.UNSET
        self.status_message: str | None = None
        self.parent: SpanContext | None = None
        self.span_context: SpanContext = INVALID_SPAN_CONTEXT
        self.cascade: Cascade | None = None
        self.context = context  # until started: the parent's
        self.twin: trace.Span | None = None
        self.ended = False
        self.inert = True
        self.generation = runtime.fork_generation

    # What the tracer's own code calls.

    def set(self, key: str, value: AttributeValue) -> None:
        if not self.ended:
            self.attributes[key] = value

    def set_all(self, attributes: Mapping[str, AttributeValue]) -> None:
        if not self.ended:
            self.attributes.update(attributes)

    def error(self, error_type: str, message: str | None = None) -> None:
        """Mark the span as failed; `error_type` is a class name or a short code; no content in the message."""
        if not self.ended:
            self.attributes[names.ERROR_TYPE] = error_type
            self.status = StatusCode.ERROR
            self.status_message = message

    def end(self, end_time_ns: int | None = None) -> None:
        """End the span; only the first call counts."""
        if self.ended:
            return
        self.ended = True
        if self.inert or self.generation != runtime.fork_generation:
            return
        with _ending:
            self.end_time_ns = time.time_ns() if end_time_ns is None else end_time_ns
            _stamp_people(self)
            _end_twin(self)
            if runtime.sink is not None:
                runtime.sink.accept(self)

    # The OpenTelemetry API, for whoever finds this span as the current one.

    def get_span_context(self) -> SpanContext:
        return self.span_context

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self.set(key, value)

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        self.set_all(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        if self.twin is not None:
            self.twin.add_event(name, attributes, timestamp)

    def update_name(self, name: str) -> None:
        self.name = name

    def is_recording(self) -> bool:
        return not self.ended and not self.inert

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if isinstance(status, Status):
            self.status, self.status_message = status.status_code, status.description
        else:
            self.status, self.status_message = status, description

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        self.set(names.ERROR_TYPE, type(exception).__qualname__)


def start_span(
    name: str,
    role: SpanRole,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
    start_time_ns: int | None = None,
    parent: Context | None = None,
    cascade: Cascade | None = None,
) -> LiveSpan:
    """Start a span below `parent` (else the current context). It is not made current: attach `.context`.

    Outside any action the span's trace is its action, marked as inferred. While fanlight is off the span is
    inert and its context is the parent's. Never raises.
    """
    context = get_current() if parent is None else parent
    span = LiveSpan(
        name, role, kind, attributes, time.time_ns() if start_time_ns is None else start_time_ns, context
    )
    if runtime.on:
        with _starting:
            _start(span, context, cascade)
            span.inert = False
    return span


def _start(span: LiveSpan, context: Context, cascade: Cascade | None) -> None:
    parent = trace.get_current_span(context).get_span_context()
    span.parent = parent if parent.is_valid else None
    if cascade is None:
        cascade = cascade_in(context)
    span.span_context = _new_span_context(span.parent)
    if cascade is None:
        cascade = Cascade(inferred_action(trace.format_trace_id(span.span_context.trace_id)))
    span.cascade = cascade
    span.attributes[names.ROLE] = span.role
    span.attributes[names.ACTION_ID] = cascade.action.id
    span.attributes[names.HOP] = cascade.hop
    below = cascade.below_step() if span.role in STEP_ROLES else cascade
    span.context = with_cascade(below, set_span_in_context(span, context))


def _new_span_context(parent: SpanContext | None) -> SpanContext:
    ids = runtime.ids
    if parent is None:
        return SpanContext(ids.getrandbits(128) or 1, ids.getrandbits(64) or 1, False, SAMPLED)
    return SpanContext(
        parent.trace_id, ids.getrandbits(64) or 1, False, parent.trace_flags, parent.trace_state
    )


def _stamp_people(span: LiveSpan) -> None:
    if span.cascade is None:
        return
    action, attributes = span.cascade.action, span.attributes
    attributes[names.ACTION_ORIGIN] = action.origin
    attributes[names.ACTION_SOURCE] = action.source
    attributes[names.WORKLOAD] = action.workload
    for key, value in (
        (names.ACTION_NAME, action.name),
        (names.USER_ID, action.user),
        (names.SESSION_ID, action.session),
    ):
        if value is not None:
            attributes[key] = value


def _end_twin(span: LiveSpan) -> None:
    """The app's provider gets what its sampler chose."""

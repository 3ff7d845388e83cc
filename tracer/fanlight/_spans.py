"""Spans of fanlight: started, made current by whoever owns them, ended exactly once.

    span = start_span("execute_tool search", "tool", attributes={...})
    token = context.attach(span.context)
    ...
    context.detach(token)
    span.end()

A `LiveSpan` is an OpenTelemetry API span with a record of its own, so it is exported whatever the app's
sampler says. Where the app has a provider, that provider's tracer starts a twin: its ids, its sampling
decision, its processors. So the app's exporters see exactly what its sampler chose, and the app's own spans
below see the twin's trace flags.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence, Set

from opentelemetry import trace
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, Context, create_key, set_value
from opentelemetry.trace import (
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)
from opentelemetry.trace.propagation import _SPAN_KEY
from opentelemetry.util.types import Attributes, AttributeValue

from fanlight._cascade import _KEY, Cascade, cascade_in, current_cascade, here, inferred_action
from fanlight._context import get_current
from fanlight._finalisers import catch_up, in_collector, put_off, put_off_endings
from fanlight._guard import guard, swallow
from fanlight._provider import app_tracer
from fanlight._runtime import runtime
from fanlight._secrets import without_secrets
from fanlight._template import Said, Template, template_of
from fanlight._twin import Twin, end_twin, exported_by_app, start_twin
from fanlight_schema import attributes as names
from fanlight_schema.attributes import SpanRole

__all__ = ["LiveSpan", "current_cascade", "error_type_of", "start_as", "start_span", "suppressed"]

SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET = StatusCode.UNSET
STEP_ROLES = ("agent", "tool")
MAX_MESSAGE_CHARS = 512  # of an exception's message, where it is kept at all
MAX_EVENTS = 128  # OTEL_SPAN_EVENT_COUNT_LIMIT's default

_SEEN_ALL_THE_SAME = create_key("fanlight.seen_all_the_same")
_ending = guard("spans.end")
_writing = guard("spans.message")


def suppressed() -> bool:
    """True where instrumentation is switched off: our own export, or code that asked for it."""
    values = get_current()
    asked = values.get(_SUPPRESS_INSTRUMENTATION_KEY) or values.get("suppress_instrumentation")
    return bool(asked) and not values.get(_SEEN_ALL_THE_SAME)


def seen_all_the_same() -> Context:
    """The current context; where instrumentation gets switched off in it, fanlight stays on."""
    return set_value(_SEEN_ALL_THE_SAME, True)


class LiveSpan(trace.Span):
    """A span of ours between start and end. Setting things after the end does nothing.

    What it says is its template's attributes, those that it ended with alike, its own, and those of its place
    (its action).
    """

    # What most spans never change costs them nothing as an attribute of the class.
    foreign: Set[str] = frozenset()  # of its own, what others set: nobody knows what is in there
    renamed = False  # by others
    end_time_ns: int | None = None
    alike: Said | None = None
    status = _UNSET
    status_message: str | None = None
    trace_id = 0
    span_id = 0
    parent_id = 0
    parent_is_remote = False
    identity = b""  # the encoder's: ids and flags, once they are there
    trace_flags: TraceFlags = SAMPLED
    trace_state: TraceState | None = None
    cascade: Cascade | None = None
    twin: Twin | None = None
    ended = False
    announced = False  # in the spool, as a span that may never end
    inert = True
    events: Sequence[tuple[str, Mapping[str, AttributeValue] | None, int]] = ()

    def __init__(
        self,
        template: Template,
        own: Mapping[str, AttributeValue] | None,
        start_time_ns: int,
        parent_context: Context,
    ) -> None:
        self.template = template
        self.name = template.name
        self.start_time_ns = start_time_ns
        self.own: dict[str, AttributeValue] = dict(own) if own else {}
        self.mixed = bool(own)  # `own` may say what the template or the place says, too
        self.parent_context = parent_context
        self._may_end = [True]  # popped by the one call that ends the span: atomic, unlike a flag
        self.generation = runtime.fork_generation

    @property
    def role(self) -> SpanRole:
        return self.template.role

    @property
    def kind(self) -> SpanKind:
        return self.template.kind

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """All that it says, as it is now."""
        above = {} if self.cascade is None else self.cascade.attributes()
        alike = {} if self.alike is None else self.alike.attributes
        return {**self.template.attributes, **alike, **self.own, **above}

    @property
    def span_context(self) -> SpanContext:
        """Its identity; invalid where it is inert."""
        return SpanContext(self.trace_id, self.span_id, False, self.trace_flags, self.trace_state)

    @property
    def context(self) -> Context:
        """The context in which this span is the current one; the parent's where the span is inert."""
        if self.inert or self.cascade is None:
            return self.parent_context
        place = self.cascade
        below = place.below_step(self.name) if self.template.role in STEP_ROLES else place
        # Not kept: a span that held a context that holds the span would outlive its last user.
        return Context({**self.parent_context, _SPAN_KEY: self, _KEY: below})

    def set(self, key: str, value: AttributeValue) -> None:
        if not self.ended:
            self.mixed = True
            self.own[key] = value

    def set_all(self, attributes: Mapping[str, AttributeValue]) -> None:
        if not self.ended:
            self.mixed = True
            self.own.update(attributes)

    def add(self, attributes: Mapping[str, AttributeValue], alike: Said | None = None) -> None:
        """Set attributes that neither its template nor its place has, those in `alike` beside its own."""
        if not self.ended:
            self.own.update(attributes)
            self.alike = alike

    def error(self, error_type: str, message: str | None = None) -> None:
        """Mark the span as failed; `error_type` is a class name or short code, `message` has no content."""
        if not self.ended:
            self.own[names.ERROR_TYPE] = error_type
            self.status = StatusCode.ERROR
            self.status_message = message

    def fail(self, error: BaseException) -> None:
        """Mark the span as failed by an exception; its message, less keys, only where the app opted in."""
        self.error(error_type_of(error))
        if runtime.error_messages:
            with _writing:
                self.error(error_type_of(error), without_secrets(str(error))[:MAX_MESSAGE_CHARS])

    def end(self, end_time: int | None = None) -> None:
        """End the span, at `end_time` (ns since 1970) or now; only the first call counts, in any thread."""
        try:
            self._may_end.pop()
        except IndexError:
            return
        self.ended = True
        if self.inert or self.generation != runtime.fork_generation:
            return
        self.end_time_ns = time.time_ns() if end_time is None else end_time
        if in_collector():
            put_off(self._deliver)
        else:
            self._deliver()

    def complete(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Say more of a span that has ended: it is delivered again, and the store takes the fuller state."""
        if self.inert or not self.ended:
            return
        self.mixed = True
        self.own.update(attributes)
        with _ending:
            if runtime.sink is not None:
                runtime.sink.accept(self)

    def _deliver(self) -> None:
        try:
            sink = runtime.sink
            if sink is not None:
                if self.twin is None or not exported_by_app(self):
                    sink.accept(self)
                elif self.announced:
                    sink.forget(self)
        except Exception as error:  # noqa: BLE001  (a guard without its two calls)
            swallow("spans.end", error)
        if self.twin is not None:
            end_twin(self, self.twin)

    def __del__(self) -> None:
        # Whoever started it let go of it: an async generator that nobody closed, a frame that was dropped.
        if not self.ended and not self.inert and runtime.on:
            self.error("abandoned")
            self.end()

    # Below is OpenTelemetry's API, for whoever finds this span as the current one.

    def get_span_context(self) -> SpanContext:
        return self.span_context

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self._note_foreign((key,))
        self.set(key, value)

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        self._note_foreign(attributes)
        self.set_all(attributes)

    def _note_foreign(self, keys: Iterable[str]) -> None:
        # In one step, as other threads may do the same: what they miss would lie on the disk.
        vars(self).setdefault("foreign", set()).update(keys)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        if not self.ended and len(self.events) < MAX_EVENTS:
            at_ns = time.time_ns() if timestamp is None else timestamp
            vars(self).setdefault("events", []).append((name, attributes, at_ns))

    def update_name(self, name: str) -> None:
        if not self.ended:
            self.renamed = True
            self.name = name

    def is_recording(self) -> bool:
        return not self.ended and not self.inert

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        if self.ended:
            return
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
        self.set(names.ERROR_TYPE, error_type_of(exception))


def error_type_of(error: BaseException) -> str:
    """The name of an exception's class as `error.type` has it, with its module unless it is built in."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


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
    start_ns = time.time_ns() if start_time_ns is None else start_time_ns
    return start_as(template_of(name, role, kind), attributes, start_ns, parent, cascade)


def start_as(
    template: Template,
    attributes: Mapping[str, AttributeValue] | None,
    start_time_ns: int,
    parent: Context | None = None,
    cascade: Cascade | None = None,
) -> LiveSpan:
    """The same for a span whose template is known."""
    if put_off_endings:
        catch_up()
    context = here() if parent is None else parent
    span = LiveSpan(template, attributes, start_time_ns, context)
    if runtime.on:
        try:
            _start(span, context, cascade)
            span.inert = False
        except Exception as error:  # noqa: BLE001  (a guard without its two calls)
            swallow("spans.start", error)
    return span


def record_span(
    name: str,
    role: SpanRole,
    *,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue],
    identity: tuple[int, int],
    times_ns: tuple[int, int],
    cascade: Cascade,
    error_type: str | None = None,
) -> None:
    """Deliver a root span of something long over, under a trace and span id that it always has."""
    if not runtime.on:
        return
    span = LiveSpan(template_of(name, role, kind), attributes, times_ns[0], Context())
    span.cascade = cascade
    span.trace_id, span.span_id = identity
    span.inert = False
    if error_type is not None:
        span.error(error_type)
    span.end(times_ns[1])


def inert_span() -> LiveSpan:
    """A span that records nothing and changes no context."""
    return LiveSpan(template_of("", "call", SpanKind.INTERNAL), None, 0, get_current())


def _start(span: LiveSpan, context: Context, cascade: Cascade | None) -> None:
    if cascade is None:
        found = context.get(_KEY)
        cascade = found if type(found) is Cascade and found.entry is None else cascade_in(context)
        if cascade is not None and cascade.entry is not None:
            context = span.parent_context = cascade.entry.above(context)
    above = context.get(_SPAN_KEY)
    if type(above) is LiveSpan:
        span.trace_id, span.parent_id = above.trace_id, above.span_id
        span.trace_flags, span.trace_state = above.trace_flags, above.trace_state
    elif above is not None:
        _take_parent(span, above)
    if (runtime.tracer is None and app_tracer() is None) or not start_twin(span, context):
        if span.trace_id:
            span.span_id = runtime.ids.getrandbits(64) or 1
        else:
            _take_ids(span, cascade)
    if cascade is None:
        cascade = Cascade(inferred_action(trace.format_trace_id(span.trace_id)))
    elif not cascade.action.id:  # it starts the trace, and takes its id
        cascade.action.id = trace.format_trace_id(span.trace_id)
    span.cascade = cascade


def _take_parent(span: LiveSpan, above: object) -> None:
    """The trace and the parent's id of what is the current span, if that is one."""
    if type(above) is LiveSpan:
        span.trace_id, span.parent_id = above.trace_id, above.span_id
        span.trace_flags, span.trace_state = above.trace_flags, above.trace_state
    elif isinstance(above, trace.Span):
        context = above.get_span_context()
        if context.is_valid:
            span.trace_id, span.parent_id = context.trace_id, context.span_id
            if context.is_remote:
                span.parent_is_remote = True
                span.add({names.PARENT_REMOTE: True})
            span.trace_flags, span.trace_state = context.trace_flags, context.trace_state


def _take_ids(span: LiveSpan, cascade: Cascade | None) -> None:
    """An id, and a trace for a span without a parent: that of its action where that is known."""
    ids = runtime.ids
    if not span.trace_id:
        known = "" if cascade is None else cascade.action.id
        span.trace_id = int(known, 16) if known else ids.getrandbits(128) or 1
    span.span_id = ids.getrandbits(64) or 1


def child_span(
    parent: LiveSpan, name: str, role: SpanRole, attributes: Mapping[str, AttributeValue], start_time_ns: int
) -> LiveSpan:
    """A span below `parent` that is only ever told in its parent's announcement: no twin, never delivered."""
    span = LiveSpan(template_of(name, role, parent.kind), attributes, start_time_ns, parent.parent_context)
    span.cascade = parent.cascade
    _take_parent(span, parent)
    _take_ids(span, parent.cascade)
    return span

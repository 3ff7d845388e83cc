"""The app's own span for one of ours: same identity, same content, the app's sampler and processors.

It is there so that the app's traces are whole. Whatever goes wrong with it is kept apart: a sampler or
processor of the app that fails loses none of fanlight's spans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from fanlight._guard import guard
from fanlight._provider import app_exports_here
from fanlight._runtime import runtime

if TYPE_CHECKING:
    from fanlight._spans import LiveSpan

_guard = guard("twin")


@dataclass(frozen=True, slots=True)
class Twin:
    """A recording span of the app's provider, and what it was given at its start."""

    span: Span
    name: str
    attributes: dict[str, AttributeValue]


def start_twin(span: LiveSpan, context: Context) -> bool:
    """Start the app's span for this one and take its identity; False if the app has no tracer."""
    with _guard:
        tracer = runtime.tracer
        if tracer is None:
            return False
        given = span.attributes
        started = tracer.start_span(span.name, context, span.kind, given, start_time=span.start_time_ns)
        found = started.get_span_context()
        if not found.is_valid or found.span_id == span.parent_id:
            return False  # a no-op tracer hands back its parent
        if started.is_recording():
            span.twin = Twin(started, span.name, given)
        span.trace_id, span.span_id = found.trace_id, found.span_id
        span.trace_flags, span.trace_state = found.trace_flags, found.trace_state
        return True
    return False


def end_twin(span: LiveSpan, twin: Twin) -> None:
    """End the app's span with what ours ended with."""
    with _guard:
        given = twin.attributes
        twin.span.set_attributes({k: v for k, v in span.attributes.items() if given.get(k) is not v})
        if span.name != twin.name:
            twin.span.update_name(span.name)
        for name, attributes, time_ns in span.events:
            twin.span.add_event(name, attributes, time_ns)
        if span.status is not StatusCode.UNSET:
            twin.span.set_status(Status(span.status, span.status_message))
        twin.span.end(span.end_time_ns)


def exported_by_app(span: LiveSpan) -> bool:
    """Whether the app's own exporter sends this span to where ours would."""
    return span.twin is not None and span.trace_flags.sampled and app_exports_here()

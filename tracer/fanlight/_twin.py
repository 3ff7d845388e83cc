"""The app's own span for one of ours: same identity, same content, the app's sampler and processors.

It is there so that the app's traces are whole. Whatever goes wrong with it is kept apart: a sampler or
processor of the app that fails loses none of fanlight's spans.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanContext, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from fanlight._guard import guard
from fanlight._provider import app_exports_here, app_tracer

if TYPE_CHECKING:
    from fanlight._spans import LiveSpan

_guard = guard("twin")


@dataclass(frozen=True, slots=True)
class Twin:
    """A recording span of the app's provider, and what it was given at its start."""

    span: Span
    name: str
    attributes: dict[str, AttributeValue]


def start_twin(span: LiveSpan, context: Context) -> SpanContext | None:
    """Start the app's span for this one and give its identity; None if the app has no tracer."""
    with _guard:
        tracer = app_tracer()
        if tracer is None:
            return None
        given = span.attributes.copy()
        started = tracer.start_span(span.name, context, span.kind, given, start_time=span.start_time_ns)
        found = started.get_span_context()
        if not found.is_valid or (span.parent is not None and found.span_id == span.parent.span_id):
            return None  # a no-op tracer hands back its parent
        if started.is_recording():
            span.twin = Twin(started, span.name, given)
        return found
    return None


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
    return span.twin is not None and span.span_context.trace_flags.sampled and app_exports_here()

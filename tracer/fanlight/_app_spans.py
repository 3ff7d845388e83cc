"""The app's own spans on their way to fanlight's collector: what lies above, between and beside ours.

A web framework's entry, a tool of another instrumentation, an agent framework's steps: without them a
cascade has holes. They are the spans that the app's sampler chose, as its own processors get them. Imported
only where the app has the OpenTelemetry SDK's provider, so that the SDK is not loaded for nothing.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from fanlight._guard import guard
from fanlight._otlp import Link, encode_scoped_span
from fanlight._provider import app_exports_here
from fanlight._runtime import runtime

_guard = guard("app_spans")
# Libraries that write a span like a call's for what is a call below them, and which is seen there: litellm
# writes its spans when all is over, and outside any span in a trace of their own, so no store can tell.
_LAYERS = frozenset(("litellm",))
_followed: weakref.WeakSet[TracerProvider] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class AppSpan:
    """An ended span of the app in the form that the encoder reads."""

    span_context: SpanContext
    parent: SpanContext | None
    name: str
    kind: SpanKind
    start_time_ns: int
    end_time_ns: int | None
    attributes: dict[str, AttributeValue]
    events: list[tuple[str, Mapping[str, AttributeValue] | None, int]]
    links: list[Link]
    status: StatusCode
    status_message: str | None


class AppSpans(SpanProcessor):
    """Hands the app's ended spans to fanlight's exporter; idle while that is switched off.

    A provider has no way to take a processor out again, so it stays, and does nothing after `uninstrument()`.
    """

    def on_end(self, span: ReadableSpan) -> None:
        sink = runtime.sink
        if sink is None or not runtime.on:
            return
        with _guard:
            scope, context = span.instrumentation_scope, span.get_span_context()
            if context is None or not context.trace_flags.sampled:
                return
            if scope is not None and scope.name == runtime.scope_name:  # the app's twin of a span of ours
                return
            name, version = (scope.name, scope.version or "") if scope is not None else ("", "")
            if name in _LAYERS or app_exports_here():
                return
            sink.accept_encoded(encode_scoped_span(name, version, _read(span, context)))


def follow(provider: object) -> None:
    """Export the spans of this provider too, once; nothing happens for one that is not the SDK's."""
    if isinstance(provider, TracerProvider) and provider not in _followed:
        _followed.add(provider)
        provider.add_span_processor(AppSpans())


def _read(span: ReadableSpan, context: SpanContext) -> AppSpan:
    return AppSpan(
        span_context=context,
        parent=span.parent,
        name=span.name,
        kind=span.kind,
        start_time_ns=span.start_time or 0,
        end_time_ns=span.end_time,
        attributes=dict(span.attributes or {}),
        events=[(event.name, event.attributes, event.timestamp) for event in span.events],
        links=[(link.context, link.attributes) for link in span.links],
        status=span.status.status_code,
        status_message=span.status.description,
    )

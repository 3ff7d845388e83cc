"""The app's own spans on their way to fanlight's collector: what lies above, between and beside ours.

A web framework's entry, a tool of another instrumentation, an agent framework's steps: without them a
cascade has holes. They are the spans that the app's sampler chose, as its own processors get them. Imported
only where the app has the OpenTelemetry SDK's provider, so that the SDK is not loaded for nothing.

Frameworks that trace themselves tell of steps that fanlight has: such a span goes along without saying that
it is one, so that no step counts twice.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.trace import SpanContext, SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from fanlight._cascade import cascade_in
from fanlight._guard import guard
from fanlight._otlp import Link, encode_scoped_span
from fanlight._provider import app_exports_here
from fanlight._runtime import runtime
from fanlight_schema import attributes as names

_guard = guard("app_spans")
# Libraries that write a span like a call's for what is a call below them, and which is seen there: litellm
# writes its spans when all is over, and outside any span in a trace of their own, so no store can tell.
_LAYERS = frozenset(("litellm",))
_followed: weakref.WeakSet[TracerProvider] = weakref.WeakSet()

MAX_TOLD_AGAIN = 10_000  # spans that have not ended; ours
# How other tracers say what a span is, and of which step: fanlight_schema/dialects.
_KINDS = {
    "gen_ai.operation.name": {"invoke_agent": "invoke_agent", "execute_tool": "execute_tool"},
    "openinference.span.kind": {"AGENT": "invoke_agent", "TOOL": "execute_tool"},
}
_NAMES = ("gen_ai.agent.name", "gen_ai.tool.name", "agent.name", "tool.name", "agent_name")


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

    def __init__(self) -> None:
        self._told_again: OrderedDict[int, bool] = OrderedDict()  # ids of spans for steps that are ours

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if not runtime.on:
            return
        with _guard:
            if span.instrumentation_scope is not None and span.instrumentation_scope.name in _LAYERS:
                span.set_attribute(names.ROLE, "wrapper")  # wherever the app's own exporters send it
                return
            cascade = cascade_in(get_current() if parent_context is None else parent_context)
            if cascade is not None and cascade.step is not None and _tells_of(span, cascade.step):
                self._told_again[span.get_span_context().span_id] = True
                if len(self._told_again) > MAX_TOLD_AGAIN:
                    self._told_again.popitem(last=False)

    def on_end(self, span: ReadableSpan) -> None:
        sink = runtime.sink
        if sink is None or not runtime.on:
            return
        with _guard:
            scope, context = span.instrumentation_scope, span.get_span_context()
            if context is None or not context.trace_flags.sampled:
                return
            again = self._told_again.pop(context.span_id, False)
            if scope is not None and scope.name == runtime.scope_name:  # the app's twin of a span of ours
                return
            name, version = (scope.name, scope.version or "") if scope is not None else ("", "")
            if name in _LAYERS or app_exports_here():
                return
            read = _read(span, context)
            if again:
                for key in _KINDS:
                    read.attributes.pop(key, None)
            sink.accept_encoded(encode_scoped_span(name, version, read))


def follow(provider: object) -> None:
    """Export the spans of this provider too, once; nothing happens for one that is not the SDK's."""
    if isinstance(provider, TracerProvider) and provider not in _followed:
        _followed.add(provider)
        provider.add_span_processor(AppSpans())


def _tells_of(span: ReadableSpan, step: str) -> bool:
    """Whether a span of another tracer is about this step: `execute_tool search`."""
    attributes = span.attributes or {}
    for key, kinds in _KINDS.items():
        operation = kinds.get(str(attributes.get(key)))
        if operation is not None:
            told = {str(attributes[name]) for name in _NAMES if name in attributes} or {span.name}
            return any(step == f"{operation} {name}" for name in told)
    return False


def _whence(parent: SpanContext | None) -> dict[str, AttributeValue]:
    return {names.PARENT_REMOTE: True} if parent is not None and parent.is_remote else {}


def _read(span: ReadableSpan, context: SpanContext) -> AppSpan:
    return AppSpan(
        span_context=context,
        parent=span.parent,
        name=span.name,
        kind=span.kind,
        start_time_ns=span.start_time or 0,
        end_time_ns=span.end_time,
        attributes={**(span.attributes or {}), **_whence(span.parent)},
        events=[(event.name, event.attributes, event.timestamp) for event in span.events],
        links=[(link.context, link.attributes) for link in span.links],
        status=span.status.status_code,
        status_message=span.status.description,
    )

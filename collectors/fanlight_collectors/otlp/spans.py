"""Spans of a parsed request as rows, each checked on its own so that a bad one costs nobody else."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from fanlight_collectors.otlp.batch import Reject, RejectReason, SpanBatch
from fanlight_collectors.otlp.values import value_text

# As ptrace.SpanKind.String() and StatusCode.String() of the OpenTelemetry Collector print them.
SPAN_KINDS: Final = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS_CODES: Final = ("Unset", "Ok", "Error")

MAX_ATTRIBUTE_CHARS: Final = 2**20  # of one value; prompts of a million tokens are longer and are cut
MAX_NAME_CHARS: Final = 4096  # span names are in the sort key of otel_traces, whose index is in memory
MAX_SHOWN_CHARS: Final = 200  # of a name in a reject's detail
MAX_FUTURE_NS: Final = 24 * 3600 * 10**9  # a clock may be in the wrong time zone, not further off
OLDEST_START_NS: Final = 946_684_800 * 10**9  # 2000-01-01: before it lie unset clocks, no traces

_NO_TRACE_ID: Final = bytes(16)
_NO_SPAN_ID: Final = bytes(8)


class RowBuilder:
    """Collects the rows of a request; `now_ns` is the wall clock that future spans are measured against."""

    def __init__(self, batch: SpanBatch, now_ns: int | None = None) -> None:
        self._batch = batch
        self._latest_ns = (time.time_ns() if now_ns is None else now_ns) + MAX_FUTURE_NS
        columns = batch.columns
        self._put = [columns[name].append for name in columns]

    def add_request(self, request: ExportTraceServiceRequest) -> None:
        for resource_spans in request.resource_spans:
            self.add_resource_spans(resource_spans)

    def add_resource_spans(self, resource_spans: ResourceSpans) -> None:
        resource = self.attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            self.add_spans(resource, scope_spans.scope, scope_spans.spans)

    def add_spans(self, resource: dict[str, str], scope: InstrumentationScope, spans: Iterable[Span]) -> None:
        service = resource.get("service.name", "")
        scope_name, scope_version = self._name(scope.name), scope.version
        for span in spans:
            problem = self._problem(span)
            if problem:
                self.reject(problem[0], span, service, problem[1])
            else:
                self._add_row(span, service, resource, scope_name, scope_version)

    def reject(self, reason: RejectReason, span: Span, service: str, detail: str) -> None:
        name, trace_id = span.name[:MAX_SHOWN_CHARS], span.trace_id[:32].hex()
        self._batch.rejects.append(Reject(reason, detail, service[:MAX_SHOWN_CHARS], name, trace_id))

    def _problem(self, span: Span) -> tuple[RejectReason, str] | None:
        trace_id, span_id, parent = span.trace_id, span.span_id, span.parent_span_id
        if len(trace_id) != 16 or trace_id == _NO_TRACE_ID:
            return (
                "invalid_trace_id",
                f"it is 16 bytes, not all zero; this one has {len(trace_id)} bytes",
            )
        if len(span_id) != 8 or span_id == _NO_SPAN_ID:
            return "invalid_span_id", f"it is 8 bytes, not all zero; this one has {len(span_id)} bytes"
        if parent and len(parent) != 8:
            return (
                "invalid_parent_span_id",
                f"it is 8 bytes or none; this one has {len(parent)} bytes",
            )
        if span.start_time_unix_nano > self._latest_ns:
            return "start_time_in_the_future", "it starts over a day after this machine's clock"
        if span.start_time_unix_nano < OLDEST_START_NS:
            return "start_time_too_old", "it starts before the year 2000"
        if span.end_time_unix_nano > self._latest_ns:
            return "end_time_in_the_future", "it ends over a day after this machine's clock"
        return None

    def _add_row(
        self, span: Span, service: str, resource: dict[str, str], scope_name: str, scope_version: str
    ) -> None:
        parent = span.parent_span_id
        start_ns = span.start_time_unix_nano
        duration_ns = span.end_time_unix_nano - start_ns
        if duration_ns < 0:
            self._batch.repairs["negative_duration"] += 1
            duration_ns = 0
        kind, status = span.kind, span.status
        code = status.code
        row = (
            start_ns,
            span.trace_id.hex(),
            span.span_id.hex(),
            "" if parent == _NO_SPAN_ID else parent.hex(),
            self._text(span.trace_state),
            self._name(span.name),
            SPAN_KINDS[kind] if 0 <= kind < len(SPAN_KINDS) else "Unspecified",
            service,
            resource,
            scope_name,
            scope_version,
            self.attributes(span.attributes),
            duration_ns,
            STATUS_CODES[code] if 0 <= code < len(STATUS_CODES) else "Unset",
            self._text(status.message),
            *self._events(span.events),
            *self._links(span.links),
        )
        for put, value in zip(self._put, row, strict=True):
            put(value)

    def _events(self, events: Sequence[Span.Event]) -> tuple[list[int], list[str], list[dict[str, str]]]:
        if not events:
            return [], [], []
        return (
            [self._event_time_ns(event.time_unix_nano) for event in events],
            [self._name(event.name) for event in events],
            [self.attributes(event.attributes) for event in events],
        )

    def _event_time_ns(self, time_ns: int) -> int:
        if time_ns <= self._latest_ns:
            return time_ns
        self._batch.repairs["invalid_event_time"] += 1
        return 0

    def _links(
        self, links: Sequence[Span.Link]
    ) -> tuple[list[str], list[str], list[str], list[dict[str, str]]]:
        if not links:
            return [], [], [], []
        good = [link for link in links if len(link.trace_id) == 16 and len(link.span_id) == 8]
        if len(good) < len(links):
            self._batch.repairs["invalid_link"] += len(links) - len(good)
        return (
            [link.trace_id.hex() for link in good],
            [link.span_id.hex() for link in good],
            [self._text(link.trace_state) for link in good],
            [self.attributes(link.attributes) for link in good],
        )

    def attributes(self, pairs: Iterable[KeyValue]) -> dict[str, str]:
        texts: dict[str, str] = {}
        for pair in pairs:
            key, value = pair.key, pair.value
            if key in texts:  # the first one is what map['key'] reads in ClickHouse
                continue
            text = value.string_value or value_text(value)
            texts[key] = text if len(text) <= MAX_ATTRIBUTE_CHARS else self._text(text)
        return texts

    def _text(self, text: str) -> str:
        if len(text) <= MAX_ATTRIBUTE_CHARS:
            return text
        self._batch.repairs["oversized_attribute"] += 1
        return text[:MAX_ATTRIBUTE_CHARS]

    def _name(self, name: str) -> str:
        if len(name) <= MAX_NAME_CHARS:
            return name
        self._batch.repairs["oversized_name"] += 1
        return name[:MAX_NAME_CHARS]

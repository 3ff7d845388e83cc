"""Delivers spans as badly as at-least-once allows: by writers at once, over both routes, with inserts that
become visible long after later ones.

    hostile_delivery.deliver(store, rng, batches)        # returns when every batch is in the table
"""

import random
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

import otlp_json
from fanlight_collectors.otlp import decode_protobuf
from fanlight_schema.store import Store
from otlp_requests import key_values

Row = dict[str, Any]
WRITERS = 3  # two, and one that may be stuck in a slow insert
ROWS_A_BLOCK = 7
PAUSE_A_BLOCK_S = 0.3  # a delayed insert of 40 rows is visible in full after two seconds


def deliver(store: Store, rng: random.Random, batches: Iterable[Sequence[Row]]) -> None:
    """Writes every batch by a route of its own choice."""
    deliver_to([store], rng, batches)


def deliver_to(stores: Sequence[Store], rng: random.Random, batches: Iterable[Sequence[Row]]) -> None:
    """The same, each batch through a store of its own choice."""
    with ThreadPoolExecutor(WRITERS) as writers:
        jobs = []
        for number, batch in enumerate(batches):
            route = _route(rng)
            jobs.append(writers.submit(route, rng.choice(stores), batch, number))
        for job in jobs:
            job.result()


def _route(rng: random.Random) -> Callable[[Store, Sequence[Row], int], None]:
    if rng.random() < 0.1:
        return _in_slow_blocks
    return _as_exporter if rng.random() < 0.5 else _through_decoder


def _as_exporter(store: Store, batch: Sequence[Row], number: int) -> None:
    """As the OpenTelemetry Collector's exporter inserts."""
    store.insert("otel_traces", otlp_json.columns(batch))


def _through_decoder(store: Store, batch: Sequence[Row], number: int) -> None:
    """As OTLP through the collector's decoder."""
    decoded = decode_protobuf(as_otlp(batch).SerializeToString())
    store.insert("otel_traces", decoded.columns)


def _in_slow_blocks(store: Store, batch: Sequence[Row], number: int) -> None:
    """A long INSERT ... SELECT: its blocks become visible one by one, while other inserts overtake it."""
    staging = f"delayed_{number}"
    store.command(f"CREATE TABLE {staging} AS otel_traces ENGINE = Memory")
    for start in range(0, len(batch), ROWS_A_BLOCK):
        store.insert(staging, otlp_json.columns(batch[start : start + ROWS_A_BLOCK]))
    store.command(
        f"INSERT INTO otel_traces SELECT * FROM {staging} WHERE sleep({PAUSE_A_BLOCK_S}) = 0",
        settings={
            "max_threads": 1,
            "min_insert_block_size_rows": 1,
            "min_insert_block_size_bytes": 1,
        },
    )
    store.command(f"DROP TABLE {staging}")


def as_otlp(batch: Sequence[Row]) -> ExportTraceServiceRequest:
    """The rows as one OTLP request; every value is text, as the table has it."""
    return ExportTraceServiceRequest(resource_spans=map(_resource_spans, batch))


def _resource_spans(row: Row) -> ResourceSpans:
    spans = ResourceSpans()
    spans.resource.attributes.extend(key_values(row["ResourceAttributes"]))
    scope_spans = spans.scope_spans.add()
    scope_spans.scope.name = row["ScopeName"]
    scope_spans.spans.append(
        Span(
            trace_id=bytes.fromhex(row["TraceId"]),
            span_id=bytes.fromhex(row["SpanId"]),
            parent_span_id=bytes.fromhex(row["ParentSpanId"]),
            name=row["SpanName"],
            kind=otlp_json.KINDS.index(row["SpanKind"]),
            start_time_unix_nano=row["Timestamp"],
            end_time_unix_nano=row["Timestamp"] + row["Duration"],
            attributes=key_values(row["SpanAttributes"]),
            status=Status(code=otlp_json.STATUSES.index(row["StatusCode"])),
            links=[
                Span.Link(trace_id=bytes.fromhex(trace_id), span_id=bytes.fromhex(span_id))
                for trace_id, span_id in zip(row["Links.TraceId"], row["Links.SpanId"], strict=True)
            ],
        )
    )
    return spans

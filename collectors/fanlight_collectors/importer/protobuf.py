"""Cuts a file into OTLP protobuf messages, and tells traces from metrics and logs."""

from typing import Final, Literal

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from fanlight_collectors.otlp import MalformedBody, SpanBatch, decode_protobuf

_REQUEST_TAG: Final = 0x0A  # field 1, length-delimited: how every OTLP request that is not empty begins
_LENGTH_BYTES: Final = 4
_MAX_VARINT_BYTES: Final = 5

Cut = list[tuple[int, bytes]]  # offset and message


def protobuf_messages(content: bytes) -> Cut | None:
    """The messages of a file with their offsets; None if it is in none of the known forms."""
    if content[0] == _REQUEST_TAG:
        return [(0, content)] if _fields_fit(content) else _varint_delimited(content)
    return _varint_delimited(content) or _length_prefixed(content)


def _fields_fit(content: bytes) -> bool:
    """Whether the file is a run of fields 1, as one request is."""
    place = 0
    while place < len(content):
        if content[place] != _REQUEST_TAG:
            return False
        size, place = _varint(content, place + 1)
        if size is None:
            return False
        place += size
    return place == len(content)


def _varint_delimited(content: bytes) -> Cut | None:
    messages: Cut = []
    place = 0
    while place < len(content):
        size, start = _varint(content, place)
        if size is None or start + size > len(content):
            return None
        messages.append((start, content[start : start + size]))
        place = start + size
    return messages if all(_fields_fit(message) for _, message in messages) else None


def _length_prefixed(content: bytes) -> Cut | None:
    messages: Cut = []
    place = 0
    while place < len(content):
        start = place + _LENGTH_BYTES
        size = int.from_bytes(content[place:start], "big")
        if start + size > len(content):
            return None
        messages.append((start, content[start : start + size]))
        place = start + size
    return messages if all(_fields_fit(message) for _, message in messages) else None


def _varint(content: bytes, place: int) -> tuple[int | None, int]:
    value = 0
    for shift in range(_MAX_VARINT_BYTES):
        if place >= len(content):
            return None, place
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return value, place
    return None, place


def protobuf_signal(message: bytes) -> Literal["traces", "metrics", "logs"] | None:
    """What a message holds, None if it is no OTLP.

    The bytes do not say it, and the three requests share their outer fields. So the one whose inner fields
    make sense counts: spans with ids, metrics with data, log records with a time or a body.
    """
    spans = _spans_or_none(message)
    if spans is None or not spans.rows:
        if _has_metrics(message):
            return "metrics"
        if _has_logs(message):
            return "logs"
    return None if spans is None else "traces"


def _spans_or_none(message: bytes) -> SpanBatch | None:
    try:
        return decode_protobuf(message)
    except MalformedBody:
        return None


def _has_metrics(message: bytes) -> bool:
    try:
        request = ExportMetricsServiceRequest.FromString(message)
    except DecodeError:
        return False
    scopes = (scope for part in request.resource_metrics for scope in part.scope_metrics)
    return any(metric.name and metric.WhichOneof("data") for scope in scopes for metric in scope.metrics)


def _has_logs(message: bytes) -> bool:
    try:
        request = ExportLogsServiceRequest.FromString(message)
    except DecodeError:
        return False
    scopes = (scope for part in request.resource_logs for scope in part.scope_logs)
    records = (record for scope in scopes for record in scope.log_records)
    return any(record.time_unix_nano or record.HasField("body") for record in records)

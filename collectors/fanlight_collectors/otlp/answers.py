"""What OTLP/HTTP answers, in the request's encoding: success, partial success, google.rpc.Status for errors.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from fanlight_collectors.otlp.batch import SpanBatch

Encoding: TypeAlias = Literal["application/x-protobuf", "application/json"]
_Reason = TypeVar("_Reason", bound=str)

PROTOBUF: Final[Encoding] = "application/x-protobuf"
JSON: Final[Encoding] = "application/json"

# google.rpc.Code by HTTP status (https://cloud.google.com/apis/design/errors).
RPC_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 429: 8, 500: 13, 503: 14}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer to an exporter; `retry_after_s` tells it to come back with the same spans."""

    status: int
    body: bytes
    encoding: Encoding
    retry_after_s: int | None = None


def success(batch: SpanBatch, encoding: Encoding) -> Answer:
    """200; names the spans that were rejected, and as a warning those that were repaired."""
    message = summary(batch)
    if encoding == PROTOBUF:
        response = ExportTraceServiceResponse()
        if message:
            response.partial_success.rejected_spans = len(batch.rejects)
            response.partial_success.error_message = message
        return Answer(200, response.SerializeToString(), encoding)
    partial = {"partialSuccess": {"rejectedSpans": str(len(batch.rejects)), "errorMessage": message}}
    return Answer(200, json.dumps(partial if message else {}).encode(), encoding)


def failure(status: int, message: str, encoding: Encoding, retry_after_s: int | None = None) -> Answer:
    code = RPC_CODES.get(status, 2)
    if encoding == PROTOBUF:
        return Answer(status, Status(code=code, message=message).SerializeToString(), encoding, retry_after_s)
    return Answer(status, json.dumps({"code": code, "message": message}).encode(), encoding, retry_after_s)


def summary(batch: SpanBatch) -> str:
    """One sentence on what was not stored as it came; empty if all was."""
    parts = []
    if batch.rejects:
        reasons = Counter(reject.reason for reject in batch.rejects)
        first = batch.rejects[0]
        total = batch.rows + len(batch.rejects)
        parts.append(
            f"{len(batch.rejects)} of {total} spans rejected: {_counted(reasons)}; "
            f"the first is {first.span_name!r} of trace {first.trace_id or '(none)'}: {first.detail}"
        )
    if batch.repairs:
        parts.append(f"stored after repair: {_counted(batch.repairs)}")
    return "; ".join(parts)


def _counted(reasons: Mapping[_Reason, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))

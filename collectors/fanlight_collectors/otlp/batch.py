"""What one OTLP request became: columns to insert, spans that cannot be stored, and what was repaired."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from fanlight_schema.otel_traces import COLUMNS

RejectReason: TypeAlias = Literal[
    "invalid_trace_id",
    "invalid_span_id",
    "invalid_parent_span_id",
    "start_time_in_the_future",
    "start_time_too_old",
    "end_time_in_the_future",
    "malformed_span",
]
RepairReason: TypeAlias = Literal[
    "negative_duration",
    "oversized_attribute",
    "oversized_name",
    "invalid_utf8",
    "invalid_link",
    "invalid_event_time",
    "malformed_attribute",
]


@dataclass(frozen=True, slots=True)
class Reject:
    """A span that is not stored: why, and what is known of it."""

    reason: RejectReason
    detail: str
    service_name: str
    span_name: str
    trace_id: str  # as it was sent, in hex, cut to 64 digits


@dataclass(slots=True)
class SpanBatch:
    """Rows of otel_traces column by column, in the order of the request."""

    columns: dict[str, list[object]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    rejects: list[Reject] = field(default_factory=list)
    repairs: Counter[RepairReason] = field(default_factory=Counter)

    @property
    def rows(self) -> int:
        return len(self.columns["TraceId"])


def merge_batches(batches: Sequence[SpanBatch]) -> Mapping[str, list[object]]:
    """The columns of several batches as one insert."""
    if len(batches) == 1:
        return batches[0].columns
    return {name: [value for batch in batches for value in batch.columns[name]] for name in COLUMNS}

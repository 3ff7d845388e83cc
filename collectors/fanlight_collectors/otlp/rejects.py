"""Rejected and repaired spans as rows of the table ingest_rejects: one per request and reason."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from fanlight_collectors.otlp.batch import Reject, SpanBatch

REJECTS_TABLE: Final = "ingest_rejects"
_COLUMNS: Final = ("reason", "detail", "count", "source")


def reject_columns(batches: Sequence[SpanBatch], source: str) -> dict[str, list[object]]:
    """What these requests lost or had repaired; `source` says who rejected it (otlp, import)."""
    rows = [(*row, source) for batch in batches for row in _rows(batch)]
    return {name: [row[place] for row in rows] for place, name in enumerate(_COLUMNS)}


def _rows(batch: SpanBatch) -> Iterator[tuple[str, str, int]]:
    first = {reject.reason: reject for reject in reversed(batch.rejects)}
    for reason, count in Counter(reject.reason for reject in batch.rejects).items():
        yield reason, _detail(first[reason]), count
    for repair, count in batch.repairs.items():
        yield f"repaired_{repair}", "", count


def _detail(reject: Reject) -> str:
    sender = f"service {reject.service_name!r}, span {reject.span_name!r}, trace {reject.trace_id or 'none'}"
    return f"{reject.detail} ({sender})"

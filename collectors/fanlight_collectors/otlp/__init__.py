"""OTLP trace requests in, columns of `otel_traces` out.

    batch = decode_protobuf(body)      # or decode_json(body)
    store.insert("otel_traces", batch.columns)

Both routes give identical columns for the same spans. A span that cannot be stored is in `batch.rejects` with
its reason, a repaired one is counted in `batch.repairs`; a body that is no OTLP at all raises MalformedBody.
"""

from fanlight_collectors.otlp.batch import Reject, SpanBatch, merge_batches
from fanlight_collectors.otlp.decode import MalformedBody, decode_protobuf
from fanlight_collectors.otlp.json_decode import decode_json, decode_json_document

__all__ = [
    "MalformedBody",
    "Reject",
    "SpanBatch",
    "decode_json",
    "decode_json_document",
    "decode_protobuf",
    "merge_batches",
]

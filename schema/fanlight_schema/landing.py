"""Writes OTLP protobuf bodies into `otel_traces` without reading them here: ClickHouse parses them.

    try:
        landing.insert(store, bodies)
    except landing.OddBodies as odd:
        ...                      # nothing was written; those at odd.places need Python

Rows are those of fanlight_collectors.otlp.decode_protobuf (migrations 0005 and 0006; a test compares them).
"""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

from .store import Store, StoreError, WriteFailed

TABLE = "otlp_landing"
ODD_BODIES = re.compile(r"odd bodies: ([\d,]+)")  # as migration 0006 words it
MESSAGE = "Bodies"
REQUESTS_TAG = b"\x0a"  # field 1 of Bodies, length-delimited


class OddBodies(StoreError):
    """Bodies that only Python can read: with rejects, repairs or nested values. Nothing was written."""

    def __init__(self, places: Sequence[int]) -> None:
        super().__init__(f"{len(places)} bodies are to be read one by one")
        self.places = places


def insert(store: Store, bodies: Sequence[bytes]) -> None:
    """Returns when all spans of the bodies are in `otel_traces` and in every view that hangs on it.

    Raises OddBodies, or WriteFailed where the store refuses or a body is no OTLP at all.
    """
    try:
        store.insert_bytes(TABLE, joined(bodies), "ProtobufSingle", _settings(store.embedded))
    except WriteFailed as exc:
        found = ODD_BODIES.search(exc.reason)
        if found is None:
            raise
        raise OddBodies([int(number) - 1 for number in found[1].split(",")]) from exc


def joined(bodies: Iterable[bytes]) -> bytes:
    """The bodies as one message of the type Bodies."""
    return b"".join(part for body in bodies for part in (REQUESTS_TAG, _varint(len(body)), body))


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*digits, number])


@cache
def _settings(embedded: bool) -> dict[str, object]:
    """How the engine reads a body. A server gets the text of the schema, since it cannot see our files; the
    embedded engine would write that into the working directory of the process, so it gets the file."""
    schema = resources.files("fanlight_schema") / "otlp_trace.proto"
    if embedded:
        source = {"format_schema": f"{schema}:{MESSAGE}"}
    else:
        text = schema.read_text(encoding="utf-8")
        source = {
            "format_schema_source": "string",
            "format_schema": text,
            "format_schema_message_name": MESSAGE,
        }
    return {
        **source,
        "input_format_protobuf_oneof_presence": 1,
        "materialized_views_ignore_errors": 0,  # a body that is odd must not vanish
    }

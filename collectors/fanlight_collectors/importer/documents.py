"""Finds the OTLP requests in a file, whatever form they have in it.

JSON may be one request, an array of requests, or one a line (the OpenTelemetry Collector's fileexporter).
Protobuf may be one message, or several behind varint lengths (protobuf's delimited form) or behind four bytes
of length, big-endian (fileexporter with `format: proto`).
"""

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from fanlight_collectors.importer.protobuf import protobuf_messages, protobuf_signal

Signal: TypeAlias = Literal["traces", "metrics", "logs"]

STDIN: Final = Path("-")
_GZIP_MAGIC: Final = b"\x1f\x8b"
_SPACE: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"
_SIGNAL_KEYS: Final[dict[str, Signal]] = {
    "resourceSpans": "traces",
    "resource_spans": "traces",
    "resourceMetrics": "metrics",
    "resource_metrics": "metrics",
    "resourceLogs": "logs",
    "resource_logs": "logs",
}


@dataclass(frozen=True, slots=True)
class Document:
    """One request: parsed JSON, or a serialized protobuf message."""

    signal: Signal
    place: str
    json: dict[str, object] | None = None
    protobuf: bytes = b""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A part of a file that is no OTLP."""

    place: str
    message: str


def read_documents(path: Path) -> Iterator[Document | Unreadable]:
    """Every request in a file (`-`: in what stdin gives), and every part of it that is none."""
    try:
        content = _read(path)
    except OSError as exc:
        yield Unreadable("", f"cannot be read: {exc.strerror or exc}")
        return
    except (EOFError, zlib.error) as exc:
        yield Unreadable("", f"is no complete gzip file: {exc}")
        return
    start = content.lstrip(_BOM + _SPACE)[:1]
    if not start:
        yield Unreadable("", "is empty")
    elif start in (b"{", b"["):
        yield from _json_documents(content)
    else:
        yield from _protobuf_documents(content)


def _read(path: Path) -> bytes:
    content = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    return gzip.decompress(content) if content[:2] == _GZIP_MAGIC else content


def _json_documents(content: bytes) -> Iterator[Document | Unreadable]:
    text = content.decode("utf-8-sig", "replace")
    try:
        yield from _requests(json.loads(text), "")
        return
    except (ValueError, RecursionError) as exc:
        whole_error = exc
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if len(lines) < 2 or _json_or_error(lines[0][1]) is None:
        yield Unreadable("", f"is not JSON: {whole_error}")
        return
    for number, line in lines:
        place = f"line {number}"
        value = _json_or_error(line)
        if value is None:
            yield Unreadable(place, "is not JSON")
        else:
            yield from _requests(value, place)


def _json_or_error(line: str) -> object | None:
    """The value of a line, None where it is no JSON (or null, which is no request either)."""
    try:
        value: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value


def _requests(value: object, place: str) -> Iterator[Document | Unreadable]:
    if isinstance(value, list):
        for number, item in enumerate(value, 1):
            yield from _requests(item, f"{place}{', ' if place else ''}element {number}")
        return
    keys = value if isinstance(value, dict) else {}
    signals: set[Signal] = {_SIGNAL_KEYS[key] for key in keys if key in _SIGNAL_KEYS}
    if not isinstance(value, dict) or not signals:
        yield Unreadable(place, "is no OTLP request: it has no resourceSpans")
        return
    yield from (Document(signal, place, json=value) for signal in sorted(signals))


def _protobuf_documents(content: bytes) -> Iterator[Document | Unreadable]:
    messages = protobuf_messages(content)
    if messages is None:
        yield Unreadable("", "is neither OTLP JSON nor an OTLP protobuf message")
        return
    for offset, message in messages:
        place = f"byte {offset}" if len(messages) > 1 else ""
        signal = protobuf_signal(message)
        if signal is None:
            yield Unreadable(place, "is no OTLP protobuf message")
        else:
            yield Document(signal, place, protobuf=message)

"""Amazon's binary event stream, as Bedrock answers with it.

A message is: its length, the length of its headers (4 bytes each, big-endian), a checksum of those 8 bytes,
the headers, the payload, a checksum (https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html,
"Event stream encoding"). The checksums are left to the client. The payload of InvokeModel is
`{"bytes": "..."}` around the model's own event in base64, that of Converse the event itself.
"""

from __future__ import annotations

import binascii
import struct

from fanlight.capture.answer import Answer
from fanlight.capture.events import MAX_EVENT_BYTES, EventReader
from fanlight.capture.wire_format import WireFormat

_LENGTHS = struct.Struct(">II")
_PRELUDE_BYTES = 12
_CRC_BYTES = 4
_IS_EVENT = b":message-type\x07\x00\x05event"  # 7: a string follows, of 5 bytes
_INNER = b'"bytes":"'


class AwsStreamReader(EventReader):
    """Reads one event stream."""

    __slots__ = ("_broken", "_parts", "_parts_bytes", "_wanted_bytes")

    def __init__(self, wire_format: WireFormat, answer: Answer | None = None) -> None:
        super().__init__(wire_format, answer)
        self._parts: list[bytes] = []
        self._parts_bytes = 0
        self._wanted_bytes = _PRELUDE_BYTES  # before this many are there, nothing can be read
        self._broken = False  # what came is no event stream

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the stream, cut anywhere."""
        if self._broken:
            return
        self._parts.append(chunk)
        self._parts_bytes += len(chunk)
        if self._parts_bytes < self._wanted_bytes:
            return
        data = b"".join(self._parts) if len(self._parts) > 1 else chunk
        rest = data[self._messages(data) :]
        self._parts = [rest] if rest else []
        self._parts_bytes = len(rest)

    def _messages(self, data: bytes) -> int:
        """Read the whole messages in `data`; where they end."""
        at = 0
        while len(data) - at >= _PRELUDE_BYTES:
            total, headers = _LENGTHS.unpack_from(data, at)
            payload = at + _PRELUDE_BYTES + headers
            end = at + total
            if total > MAX_EVENT_BYTES or payload + _CRC_BYTES > end:
                self._broken = True
                return len(data)
            if end > len(data):
                self._wanted_bytes = total
                return at
            self._message(data[at + _PRELUDE_BYTES : payload], data[payload : end - _CRC_BYTES])
            at = end
        self._wanted_bytes = _PRELUDE_BYTES
        return at

    def _message(self, headers: bytes, payload: bytes) -> None:
        if _IS_EVENT not in headers:
            self.answer.error_type = _error_in(headers)
            return
        begin = payload.find(_INNER)
        if begin < 0:
            self._event(payload)
            return
        begin += len(_INNER)
        try:
            self._event(binascii.a2b_base64(payload[begin : payload.find(b'"', begin)]))
        except binascii.Error:
            return


def _error_in(headers: bytes) -> str:
    """The class of an exception, or the code of an error, from the headers of its message."""
    for name in (b":exception-type\x07", b":error-code\x07"):
        at = headers.find(name)
        if at >= 0:
            at += len(name)
            length = int.from_bytes(headers[at : at + 2], "big")
            return headers[at + 2 : at + 2 + length].decode("ascii", "replace") or "error"
    return "error"

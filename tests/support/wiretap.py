"""A server that keeps what really came over the wire, byte by byte.

    with wiretap() as tap:
        httpx.get(tap.url("localhost"))
        tap.heads           # [b"GET / HTTP/1.1\r\nHost: localhost:41234\r\n..."]
        tap.headers         # the same, read: [{"host": "localhost:41234", ...}]

`/to/URL` redirects there, `/refused/...` gets a 401 that quotes all that it was asked with, a websocket is
accepted, everything else is answered as a model would. `when_asked` is called before the answer.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator

ANSWER = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A window."}}
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
_ACCEPTS = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class Wiretap:
    """What came so far, one entry for each request."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.when_asked: Callable[[], object] = lambda: None
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    def url(self, host: str = "127.0.0.1", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}"

    @property
    def headers(self) -> list[dict[str, str]]:
        """By name in lower case; of a name that came twice, both values."""
        return [_read(head) for head in self.heads]


@contextlib.contextmanager
def wiretap() -> Iterator[Wiretap]:
    """Serve on loopback until the block is left."""
    listener = socket.create_server(("127.0.0.1", 0))
    tap = Wiretap(listener.getsockname()[1])

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=_answer, args=(connection, tap), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield tap
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


def _answer(connection: socket.socket, tap: Wiretap) -> None:
    with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
        head = b"".join(iter(stream.readline, b"\r\n"))
        headers = _read(head)
        body = stream.read(int(headers.get("content-length", 0)))
        tap.heads.append(head)
        tap.bodies.append(body)
        tap.when_asked()
        connection.sendall(_reply(head, headers))


def _reply(head: bytes, headers: dict[str, str]) -> bytes:
    target = head.split(b" ")[1].decode()
    if (key := headers.get("sec-websocket-key")) is not None and "/to/" not in target:
        accepted = base64.b64encode(hashlib.sha1((key + _ACCEPTS).encode()).digest()).decode()
        lines = ["HTTP/1.1 101 Switching", "upgrade: websocket", "connection: upgrade"]
        # An empty frame that closes the connection (RFC 6455, 5.5.1).
        return _written([*lines, f"sec-websocket-accept: {accepted}"]) + b"\x88\x00"
    if "/to/" in target:
        location = target.partition("/to/")[2]
        return _written(
            ["HTTP/1.1 302 Found", f"location: {location}", "content-length: 0", "connection: close"]
        )
    status, said = "200 OK", ANSWER
    if "/refused/" in target:
        quoted = {"type": "invalid_request_error", "message": f"Incorrect: {head.decode('latin-1')}"}
        status, said = "401 Unauthorized", {"error": quoted, "message": quoted["message"]}
    body = json.dumps(said).encode()
    kind = "content-type: application/json"
    return _written([f"HTTP/1.1 {status}", kind, f"content-length: {len(body)}", "connection: close"]) + body


def _written(lines: list[str]) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()


def _read(head: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            before = found.get(name.lower())
            found[name.lower()] = value.strip() if before is None else f"{before}, {value.strip()}"
    return found

"""A server that answers every request with bytes as they are given, and then closes the connection.

with raw_server(b"HTTP/1.0 200 OK\r\n\r\n", b"{}") as url: ...
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

PAUSE_S = 0.02  # between two pieces, so that they arrive apart


@contextlib.contextmanager
def raw_server(*pieces: bytes) -> Iterator[str]:
    """Serve until the block is left; its URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    _answer(connection, pieces)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=5)


def _answer(connection: socket.socket, pieces: tuple[bytes, ...]) -> None:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    wanted = int(lengths[0].split(b":")[1]) if lengths else 0
    while len(body) < wanted:
        body += connection.recv(65536)
    for piece in pieces:
        connection.sendall(piece)
        time.sleep(PAUSE_S)

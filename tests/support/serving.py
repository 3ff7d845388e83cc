"""Web apps served for real on loopback, in a thread, and a client that sends what a test says."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from werkzeug.serving import make_server

DEADLINE_S = 20.0  # not a claim: other tests share the machine


@contextmanager
def served_asgi(app: Any, **options: Any) -> Iterator[str]:
    """The URL of an ASGI app in uvicorn."""
    config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="websockets-sansio", **options)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(DEADLINE_S)
        listener.close()


@contextmanager
def served_wsgi(app: Any) -> Iterator[str]:
    """The URL of a WSGI app in werkzeug's server, a thread a request."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(DEADLINE_S)
        server.server_close()


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


def ask(url: str, method: str = "POST", **headers: str | bytes) -> Answer:
    """One request over a connection of its own, through no library that fanlight watches."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=DEADLINE_S)
    try:
        connection.request(method, parts.path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        response = connection.getresponse()
        return Answer(response.status, response.read())
    finally:
        connection.close()


def ask_and_leave(url: str, read_bytes: int) -> None:
    """A client that goes away in the middle of the answer."""
    parts = urlsplit(url)
    with socket.create_connection((str(parts.hostname), int(parts.port or 80)), timeout=DEADLINE_S) as raw:
        raw.sendall(f"POST {parts.path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".encode())
        got = b""
        while len(got) < read_bytes:
            got += raw.recv(1000)


def eventually(condition: Callable[[], object], within_s: float = DEADLINE_S) -> None:
    """Waits until it holds; AssertionError if it never does."""
    give_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at, "it never came about"
        time.sleep(0.005)

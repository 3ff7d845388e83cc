"""A real OTLP/HTTP server on loopback that keeps what it got, and misbehaves on demand.

with OtlpReceiver() as receiver:
    receiver.answer(503)              # the next answers; then 200 again
    ...
    receiver.spans                    # decoded by the official classes
"""

import gzip
import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from typing_extensions import Self


@dataclass(slots=True)
class Received:
    """One export request: its target, its headers (lower-case names) and what was in it."""

    target: str
    headers: dict[str, str]
    request: ExportTraceServiceRequest


@dataclass(slots=True)
class Fault:
    """An answer other than an immediate 200."""

    status: int = 200
    delay_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class OtlpReceiver:
    """`url` is its base URL; `requests` and `spans` are what was answered with 200."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Received] = []
        self.refused = 0
        self.most_spans: float = float("inf")
        self.connections: list[socket.socket] = []
        self._faults: list[Fault] = []
        self._always: Fault | None = None
        handler = type("Handler", (_Handler,), {"receiver": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, status: int, *, times: int = 1, **headers: str) -> None:
        """Answer the next requests with this status."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._faults += [Fault(status, headers=named) for _ in range(times)]

    def always(self, fault: Fault | None) -> None:
        """Answer everything so from now on; None ends it."""
        self._always = fault

    def refuse_larger(self, spans: int) -> None:
        """Answer 413 from now on to requests of more spans."""
        self.most_spans = spans

    def reject(self, spans: int) -> None:
        """Answer the next request with a partial success."""
        response = ExportTraceServiceResponse()
        response.partial_success.rejected_spans = spans
        response.partial_success.error_message = "too old"
        self._faults.append(Fault(body=response.SerializeToString()))

    def serve_tls(self, certificate: Path, key: Path) -> None:
        """Speak TLS on connections from now on."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    def drop_connections(self) -> None:
        """Close every connection from the server's side, as an idle timeout does."""
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.connections.clear()

    def next_fault(self) -> Fault:
        if self._always is not None:
            return self._always
        return self._faults.pop(0) if self._faults else Fault()

    @property
    def spans(self) -> list[Span]:
        return [
            span
            for received in self.requests
            for resource_spans in received.request.resource_spans
            for scope_spans in resource_spans.scope_spans
            for span in scope_spans.spans
        ]

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def wait_for(self, count: int, timeout_s: float = 5.0) -> list[Span]:
        """The spans, once there are `count`; AssertionError if they do not come."""
        deadline = time.monotonic() + timeout_s
        while len(self.spans) < count:
            assert time.monotonic() < deadline, f"{len(self.spans)} of {count} spans came"
            time.sleep(0.01)
        return self.spans


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: OtlpReceiver

    def setup(self) -> None:
        super().setup()
        self.receiver.connections.append(self.connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
        too_large = sum(len(scope.spans) for scope in scopes) > self.receiver.most_spans
        fault = Fault(413) if too_large else self.receiver.next_fault()
        time.sleep(fault.delay_s)
        if fault.status == 200:
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.receiver.requests.append(Received(self.path, headers, request))
        else:
            self.receiver.refused += 1
        self._answer(fault)

    def _answer(self, fault: Fault) -> None:
        try:
            self.send_response(fault.status)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(fault.body)))
            self.end_headers()
            self.wfile.write(fault.body)
        except OSError:
            return  # the exporter did not wait

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the base class's name)
        return


def value_of(value: AnyValue) -> object:
    """An attribute's value as Python has it."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def attributes_of(span: Span) -> dict[str, object]:
    return {pair.key: value_of(pair.value) for pair in span.attributes}

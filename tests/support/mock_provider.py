"""A model provider in a process of its own that knows the truth: what it was asked, and what it answered.

    with running_provider() as provider:
        url = provider.scenario(Fault(status=500), Fault(status=500), Fault())
        OpenAI(base_url=url).chat.completions.create(...)
        provider.truth(url)      # three Asked: 500, 500, 200 with its token counts

A scenario is a list of faults, one per request in the order in which they come; the last one repeats. Wire
formats are functions in `FORMATS`, by the end of the path.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import itertools
import json
import select
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import mock_anthropic
import mock_batches
import mock_bedrock
import mock_cohere
import mock_gemini
import mock_media
import mock_ollama
import mock_openai
from mock_reply import Json, Reply

FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    end: make
    for vendor in (
        mock_batches,
        mock_bedrock,
        mock_anthropic,
        mock_cohere,
        mock_gemini,
        mock_media,
        mock_ollama,
        mock_openai,
    )
    for end, make in vendor.FORMATS.items()
}


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to one request; without arguments it is answered."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False  # the connection is reset instead of an answer
    delay_s: float = 0.0  # before the first byte; a client that leaves meanwhile gets no answer
    pace_s: float = 0.001  # between two events of a stream
    cut_after: int | None = None  # events of a stream, then the connection is closed in the middle
    hang_after: int | None = None  # events of a stream, then nothing more comes until the client leaves
    gzip: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One physical request as the provider saw it, and the tokens that its answer cost."""

    path: str
    status: int | None  # None: no answer was begun
    streamed: bool
    events_sent: int  # of a stream, those with generated text
    complete: bool
    input_tokens: int
    output_tokens: int
    headers: dict[str, str]
    body_bytes: int
    body_digest: str
    said: Json = field(default_factory=dict)  # of an answer's model, finish reasons and other tokens

    @property
    def answered(self) -> bool:
        return self.status == 200


class _State:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.faults: dict[str, list[Json]] = {}
        self.asked: dict[str, dict[int, Json]] = {}  # by place in the order of arrival
        self.arrived: dict[str, int] = {}
        self.later: dict[tuple[str, str], list[Json | str]] = {}

    def arrive(self, scenario: str) -> tuple[int, Fault]:
        """The request's place among those that arrived, and what happens to it."""
        with self.lock:
            place = self.arrived[scenario] = self.arrived.get(scenario, 0) + 1
            steps = self.faults.get(scenario) or [{}]
            step = steps.pop(0) if len(steps) > 1 else steps[0]
            return place, Fault(**step)

    def next_later(self, scenario: str, path: str) -> Json | str | None:
        with self.lock:
            for (asked, end), answers in self.later.items():
                if asked == scenario and path.endswith(end):
                    return answers.pop(0) if len(answers) > 1 else answers[0]
        return None

    def keep_later(self, host: str, scenario: str, later: dict[str, list[Json | str]]) -> None:
        placed = json.loads(json.dumps(later).replace("{base}", f"http://{host}/s/{scenario}"))
        with self.lock:
            self.later.update({(scenario, end): answers for end, answers in placed.items()})

    def record(self, scenario: str, place: int, asked: Asked) -> None:
        with self.lock:
            self.asked.setdefault(scenario, {})[place] = asdict(asked)

    def truth(self, scenario: str) -> list[Json]:
        with self.lock:
            return [asked for _, asked in sorted(self.asked.get(scenario, {}).items())]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: _State

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        scenario = self.path.rpartition("/")[2]
        if self.path.startswith("/_truth/"):
            self._json(200, self.state.truth(scenario))
            return
        if self.path.startswith("/_arrived/"):
            self._json(200, self.state.arrived.get(scenario, 0))
            return
        found = self.state.next_later(*_split(self.path))
        if isinstance(found, str):
            self._raw(found.encode(), "application/octet-stream")
        else:
            self._json(200, {"object": "list", "data": []} if found is None else found)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.startswith("/_scenario/"):
            with self.state.lock:
                self.state.faults[self.path.rpartition("/")[2]] = json.loads(raw)
            self._json(200, {})
            return
        scenario, path = _split(self.path)
        place, fault = self.state.arrive(scenario)
        body = json.loads(raw) if raw[:1] == b"{" else {}
        found = [make for end, make in FORMATS.items() if path.endswith(end)]
        reply = found[0](body, path) if found else Reply({"error": {"message": "not here"}})
        status = fault.status if found else 404
        if reply.later:
            self.state.keep_later(str(self.headers["host"]), scenario, reply.later)
        stream = bool(body.get("stream")) if reply.streamed is None else reply.streamed
        try:
            seen = self._answer(fault, status, reply, stream)
        except OSError:
            seen = (status, 0, False)
        sent_status, events, complete = seen
        ok = sent_status == 200
        output = reply.output_tokens if complete or not reply.events else events
        headers = {key.lower(): value for key, value in self.headers.items()}
        self.state.record(
            scenario,
            place,
            Asked(
                path=path,
                status=sent_status,
                streamed=stream,
                events_sent=events,
                complete=complete,
                input_tokens=reply.input_tokens if ok else 0,
                output_tokens=output if ok else 0,
                headers=headers,
                body_bytes=len(raw),
                body_digest=hashlib.sha256(raw).hexdigest(),
                said=reply.said,
            ),
        )

    def _answer(self, fault: Fault, status: int, reply: Reply, stream: bool) -> tuple[int | None, int, bool]:
        if fault.delay_s and self._client_leaves(fault.delay_s):
            self.close_connection = True
            return None, 0, False
        if fault.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return None, 0, False
        if status in (307, 308):
            self._headers(status, "application/json", length=0, more=fault.headers)
            return status, 0, True
        if status != 200:
            self._json(status, {"error": {"message": "on demand", "type": "mock_error"}}, fault.headers)
            return status, 0, True
        if stream:
            return self._stream(fault, reply)
        self._json(200, reply.body, fault.headers, zipped=fault.gzip)
        return 200, 0, True

    def _stream(self, fault: Fault, reply: Reply) -> tuple[int, int, bool]:
        self._headers(200, reply.content_type, more={"transfer-encoding": "chunked", **fault.headers})
        sent = 0
        for event in reply.events:
            if event.text and sent == fault.cut_after:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return 200, sent, False
            if sent == fault.hang_after:
                self._client_leaves(60)  # longer than any client waits
                self.close_connection = True
                return 200, sent, False
            try:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(event.data), event.data))
                self.wfile.flush()
            except OSError:
                self.close_connection = True
                return 200, sent, False
            sent += event.text
            time.sleep(fault.pace_s)
        self.wfile.write(b"0\r\n\r\n")
        return 200, sent, True

    def _client_leaves(self, within_s: float) -> bool:
        """Wait that long for the client to close the connection."""
        readable, _, _ = select.select([self.connection], [], [], within_s)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _headers(
        self, status: int, content_type: str, length: int | None = None, more: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        if length is not None:
            self.send_header("content-length", str(length))
        for key, value in (more or {}).items():
            self.send_header(key, value)
        self.end_headers()

    def _json(
        self, status: int, value: object, more: dict[str, str] | None = None, *, zipped: bool = False
    ) -> None:
        data = json.dumps(value).encode()
        if zipped:
            data = gzip.compress(data)
            more = {**(more or {}), "content-encoding": "gzip"}
        self._raw(data, "application/json", status, more)

    def _raw(
        self, data: bytes, content_type: str, status: int = 200, more: dict[str, str] | None = None
    ) -> None:
        self._headers(status, content_type, len(data), more)
        self.wfile.write(data)


def _split(path: str) -> tuple[str, str]:
    """`/s/ID/v1/...` is scenario ID; any other path is the scenario `default`."""
    path = urlsplit(path).path
    parts = path.split("/", 3)
    return (parts[2], "/" + parts[3]) if path.startswith("/s/") else ("default", path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is none."""


def serve() -> None:
    """Serve until the parent closes our standard input."""
    handler = type("Handler", (_Handler,), {"state": _State()})
    server = _Server(("127.0.0.1", 0), handler)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


class Provider:
    """The running provider as a test sees it. Its own traffic goes over urllib."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self._numbers = itertools.count(1)

    def scenario(self, *faults: Fault, end: str = "/v1") -> str:
        """A base URL under which requests meet these faults in turn."""
        name = f"n{next(self._numbers)}"
        steps = json.dumps([asdict(fault) for fault in faults] or [{}]).encode()
        with urllib.request.urlopen(f"{self.url}/_scenario/{name}", data=steps) as response:
            response.read()
        return f"{self.url}/s/{name}{end}"

    def truth(self, url: str, *, expect: int | None = None, timeout_s: float = 5.0) -> list[Asked]:
        """What the provider saw under a scenario's URL in order of arrival; waits until `expect` are over."""
        scenario = _split(urlsplit(url).path + "/")[0]
        give_up_at = time.monotonic() + timeout_s
        while True:
            with urllib.request.urlopen(f"{self.url}/_truth/{scenario}") as response:
                asked = [Asked(**item) for item in json.load(response)]
            if expect is None or len(asked) >= expect or time.monotonic() > give_up_at:
                return asked
            time.sleep(0.01)


@contextlib.contextmanager
def running_provider() -> Iterator[Provider]:
    """Start the provider in a process of its own, and stop it."""
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield Provider(int(process.stdout.readline()))
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()


if __name__ == "__main__":
    serve()

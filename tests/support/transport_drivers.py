"""The same request over every HTTP library: one driver each, all with the same few methods.

    with Requests() as driver:
        answer = driver.post(url, {"model": "m", "messages": []})     # its body is still to be read
        answer.status, driver.lines(answer, 3), driver.rest(answer)
        driver.close_answer(answer)

Errors are the library's own; `names` says what the request's span calls them.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import importlib
import itertools
import json
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

TIMEOUT_S = 5.0
NO_HEADERS: Mapping[str, str] = {}


@dataclass
class Answer:
    """A response whose headers have come, and what reads it line by line."""

    status: int
    response: Any
    lines: Any = None  # an iterator, sync or async, made when it is asked for


@dataclass(frozen=True)
class Names:
    """What a span says of an error of this library."""

    refused: str
    reset: str
    cut: str
    stalled: str
    late: str = field(default="")  # no answer in time; "" is the same as stalled


class TransportDriver(ABC):
    """One HTTP library."""

    module_name: str  # that has to be there
    names: Names
    follows_redirects = True
    undoes_encodings = True  # by itself

    def __init__(self) -> None:
        self.module: ModuleType = importlib.import_module(self.module_name)

    def __enter__(self) -> TransportDriver:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027  (some have nothing to close)
        """Close what is left open."""

    def collect_garbage(self) -> None:
        gc.collect()

    @abstractmethod
    def post(
        self,
        url: str,
        body: Any,
        *,
        timeout_s: float = TIMEOUT_S,
        method: str = "POST",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answer:
        """Send a JSON body; give the answer as soon as its headers have come."""

    @abstractmethod
    def iterate(self, answer: Answer) -> Any:
        """The lines of an answer, each when it has come."""

    @abstractmethod
    def rest(self, answer: Answer) -> bytes:
        """All that has not been read yet."""

    @abstractmethod
    def close_answer(self, answer: Answer) -> None: ...

    def lines(self, answer: Answer, count: int | None = None) -> list[bytes]:
        """The next lines that have text, all of them without a count."""
        if answer.lines is None:
            answer.lines = (line.strip() for line in self.iterate(answer) if line.strip())
        return list(itertools.islice(answer.lines, count))

    def ask(self, url: str, body: Any, **options: Any) -> Any:
        """A whole answer, decoded."""
        answer = self.post(url, body, **options)
        try:
            return json.loads(self.rest(answer))
        finally:
            self.close_answer(answer)


class Httpx(TransportDriver):
    module_name = "httpx"
    names = Names("ConnectError", "ReadError", "RemoteProtocolError", "ReadTimeout")

    def __init__(self) -> None:
        super().__init__()
        self.client = self.module.Client(follow_redirects=True)

    def close(self) -> None:
        self.client.close()

    def post(
        self,
        url: str,
        body: Any,
        *,
        timeout_s: float = TIMEOUT_S,
        method: str = "POST",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answer:
        request = self.client.build_request(method, url, json=body, timeout=timeout_s, headers=headers)
        response = self.client.send(request, stream=True)
        return Answer(response.status_code, response)

    def iterate(self, answer: Answer) -> Iterator[bytes]:
        return (line.encode() for line in answer.response.iter_lines())

    def rest(self, answer: Answer) -> bytes:
        data: bytes = answer.response.read()
        return data

    def close_answer(self, answer: Answer) -> None:
        answer.response.close()


class Httpx2(Httpx):
    module_name = "httpx2"


class Requests(TransportDriver):
    module_name = "requests"
    names = Names(
        "NewConnectionError", "ConnectionResetError", "IncompleteRead", "TimeoutError", "ReadTimeoutError"
    )

    def __init__(self) -> None:
        super().__init__()
        self.session = self.module.Session()

    def close(self) -> None:
        self.session.close()

    def post(
        self,
        url: str,
        body: Any,
        *,
        timeout_s: float = TIMEOUT_S,
        method: str = "POST",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answer:
        response = self.session.request(
            method, url, json=body, stream=True, timeout=timeout_s, headers=headers
        )
        return Answer(response.status_code, response)

    def iterate(self, answer: Answer) -> Iterator[bytes]:
        lines: Iterator[bytes] = answer.response.iter_lines()
        return lines

    def rest(self, answer: Answer) -> bytes:
        data: bytes = answer.response.content
        return data

    def close_answer(self, answer: Answer) -> None:
        answer.response.close()


class Urllib3(TransportDriver):
    module_name = "urllib3"
    names = Requests.names

    def __init__(self) -> None:
        super().__init__()
        self.pools = self.module.PoolManager(
            retries=self.module.Retry(connect=0, read=0, other=0, redirect=3)
        )

    def close(self) -> None:
        self.pools.clear()

    def post(
        self,
        url: str,
        body: Any,
        *,
        timeout_s: float = TIMEOUT_S,
        method: str = "POST",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json", "accept-encoding": "gzip", **headers}
        response = self.pools.request(
            method, url, body=data, headers=sent, timeout=timeout_s, preload_content=False
        )
        return Answer(response.status, response)

    def iterate(self, answer: Answer) -> Iterator[bytes]:
        for chunk in answer.response.stream(512):
            yield from chunk.split(b"\n")

    def rest(self, answer: Answer) -> bytes:
        data: bytes = answer.response.read()
        return data

    def close_answer(self, answer: Answer) -> None:
        answer.response.close()
        answer.response.release_conn()


class HttpClient(TransportDriver):
    module_name = "http.client"
    names = Names("ConnectionRefusedError", "ConnectionResetError", "IncompleteRead", "TimeoutError")
    follows_redirects = False
    undoes_encodings = False

    def __init__(self) -> None:
        super().__init__()
        self._connections: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        for connection in self._connections:
            connection.close()

    def collect_garbage(self) -> None:
        """A connection holds its latest response."""
        self._connections.clear()
        gc.collect()

    def post(
        self,
        url: str,
        body: Any,
        *,
        timeout_s: float = TIMEOUT_S,
        method: str = "POST",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answer:
        parts = urlsplit(url)
        assert parts.hostname is not None
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
        data = None if body is None else json.dumps(body).encode()
        self._connections.append(connection)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target, data, {"content-type": "application/json", **headers})
        response = connection.getresponse()
        return Answer(response.status, response)

    def iterate(self, answer: Answer) -> Iterable[bytes]:
        return iter(answer.response.readline, b"")

    def rest(self, answer: Answer) -> bytes:
        data: bytes = answer.response.read()
        return data

    def close_answer(self, answer: Answer) -> None:
        answer.response.close()


class UrllibRequest(TransportDriver):
    module_name = "urllib.request"
    names = HttpClient.names
    follows_redirects = False
    undoes_encodings = False

    def post(
        self,
        url: str,
        body: Any,
        *,
        timeout_s: float = TIMEOUT_S,
        method: str = "POST",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answer:
        data = None if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json", **headers}
        request = urllib.request.Request(url, data, sent, method=method)
        try:
            response = urllib.request.urlopen(request, timeout=timeout_s)
        except urllib.error.HTTPError as error:
            return Answer(error.code, error)
        return Answer(response.status, response)

    def iterate(self, answer: Answer) -> Iterable[bytes]:
        lines: Iterable[bytes] = answer.response
        return lines

    def rest(self, answer: Answer) -> bytes:
        data: bytes = answer.response.read()
        return data

    def close_answer(self, answer: Answer) -> None:
        answer.response.close()


class Aiohttp(TransportDriver):
    module_name = "aiohttp"
    names = Names("ClientConnectorError", "ClientOSError", "ClientPayloadError", "SocketTimeoutError")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.session = self.run(self._session())

    async def _session(self) -> Any:
        return self.module.ClientSession()

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def close(self) -> None:
        self.run(self.session.close())
        self.run(asyncio.sleep(0))
        self.loop.close()

    def collect_garbage(self) -> None:
        """aiohttp itself holds a response until its connection has ended, or has no more to give."""
        self.run(asyncio.sleep(0.3))
        gc.collect()

    def post(
        self,
        url: str,
        body: Any,
        *,
        timeout_s: float = TIMEOUT_S,
        method: str = "POST",
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> Answer:
        timeout = self.module.ClientTimeout(sock_read=timeout_s)
        return self.run(self._post(method, url, json=body, timeout=timeout, headers=headers))  # type: ignore[no-any-return]

    async def _post(self, *args: Any, **kwargs: Any) -> Answer:
        response = await self.session.request(*args, **kwargs)
        return Answer(response.status, response)

    def iterate(self, answer: Answer) -> Iterator[bytes]:
        while line := self.run(answer.response.content.readline()):
            yield line

    def rest(self, answer: Answer) -> bytes:
        data: bytes = self.run(answer.response.read())
        return data

    def close_answer(self, answer: Answer) -> None:
        answer.response.close()


DRIVERS: Mapping[str, type[TransportDriver]] = {
    made.__name__.lower(): made
    for made in (Httpx, Httpx2, Requests, Urllib3, HttpClient, UrllibRequest, Aiohttp)
}

# OpenTelemetry's own hooks in them. By the driver: the module below opentelemetry.instrumentation, and its
# instrumentor.
OTHERS = {
    "httpx": [("httpx", "HTTPXClientInstrumentor")],
    "requests": [("requests", "RequestsInstrumentor"), ("urllib3", "URLLib3Instrumentor")],
    "urllib3": [("urllib3", "URLLib3Instrumentor")],
    "urllibrequest": [("urllib", "URLLibInstrumentor")],
    "aiohttp": [("aiohttp_client", "AioHttpClientInstrumentor")],
}

"""Export requests over HTTP/1.1: one kept-alive connection, the standard library, no retries of its own.

The answer of the collector is boiled down to what the exporter has to do next.
https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import base64
import errno
import gzip
import ssl
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from socket import gaierror
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from fanlight._config import Config
from fanlight._otlp import rejected_spans
from fanlight._outcome import Outcome

RETRYABLE_STATUS: Final = frozenset({429, 502, 503, 504})  # OTLP/HTTP, "Retryable Response Codes"
LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH})
GZIP_FROM_BYTES: Final = 1_024  # below it, gzip's head outweighs what it saves
GZIP_LEVEL: Final = 1  # measured on call spans: 14x smaller for 2.5 us a span; level 6 is 16x for 5 us
MAX_RETRY_AFTER_S: Final = 60.0
ASKS_FOR_A_TOKEN: Final = 'set OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer <its token>"'
MAX_ANSWER_BYTES: Final = 64 * 2**10


class HttpSender:
    """Sends encoded export requests to one URL. Used by one thread at a time."""

    def __init__(self, config: Config) -> None:
        parts = urlsplit(config.traces_url)
        self._config = config
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._proxy_headers: dict[str, str] = {}
        self._connection: HTTPConnection | None = None

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """Deliver one request within `timeout_s`; never raises for what the network or the collector does."""
        headers = {**self._config.headers, "content-type": "application/x-protobuf", "user-agent": "fanlight"}
        if self._config.gzip and len(payload) >= GZIP_FROM_BYTES:
            payload = gzip.compress(payload, GZIP_LEVEL)
            headers["content-encoding"] = "gzip"
        reused = self._connection is not None
        try:
            return self._exchange(payload, headers, timeout_s)
        except (OSError, HTTPException) as error:
            self.close()
            if not reused or isinstance(error, TimeoutError):
                return _failure(error)
        try:  # the collector had closed the idle connection
            return self._exchange(payload, headers, timeout_s)
        except (OSError, HTTPException) as error:
            self.close()
            return _failure(error)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _exchange(self, payload: bytes, headers: dict[str, str], timeout_s: float) -> Outcome:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect(timeout_s)
        connection.timeout = timeout_s
        if connection.sock is not None:
            connection.sock.settimeout(timeout_s)
        connection.request("POST", self._target, payload, {**headers, **self._proxy_headers})
        response = connection.getresponse()
        body = response.read(MAX_ANSWER_BYTES)
        if response.read(1):
            self.close()
        return _outcome(response, body)

    def _connect(self, timeout_s: float) -> HTTPConnection:
        proxy = _proxy_for(self._host, self._secure)
        host, port = (proxy.hostname or "", proxy.port) if proxy else (self._host, self._port)
        if self._secure:
            secure = HTTPSConnection(host, port, timeout=timeout_s, context=self._tls())
            if proxy:
                secure.set_tunnel(self._host, self._port or 443, _proxy_headers(proxy))
            return secure
        if proxy:
            self._target = self._config.traces_url
            self._proxy_headers = _proxy_headers(proxy)
        return HTTPConnection(host, port, timeout=timeout_s)

    def _tls(self) -> ssl.SSLContext:
        config = self._config
        context = ssl.create_default_context(cafile=config.certificate)
        if config.client_certificate:
            context.load_cert_chain(config.client_certificate, config.client_key)
        return context


def _proxy_for(host: str, secure: bool) -> SplitResult | None:
    """The proxy that the environment names, never for this machine itself."""
    if host in LOOPBACK or proxy_bypass(host):
        return None
    url = getproxies().get("https" if secure else "http")
    return urlsplit(url if "//" in url else f"//{url}") if url else None


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if proxy.username is None:
        return {}
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"proxy-authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def _failure(error: OSError | HTTPException) -> Outcome:
    nobody = isinstance(error, ConnectionRefusedError | gaierror) or getattr(error, "errno", 0) in NO_ROUTE
    return Outcome("unreachable" if nobody else "retry", f"{type(error).__name__}: {error}")


def _outcome(response: HTTPResponse, body: bytes) -> Outcome:
    if 200 <= response.status < 300:
        return Outcome("delivered", rejected=rejected_spans(body))
    detail = f"HTTP {response.status} {response.reason}"
    if response.status in RETRYABLE_STATUS:
        return Outcome("retry", detail, _retry_after_s(response.getheader("retry-after")))
    if response.status == 401:
        detail += f"; {ASKS_FOR_A_TOKEN}"
    return Outcome("too_large" if response.status == 413 else "rejected", detail)


def _retry_after_s(header: str | None) -> float | None:
    """Seconds only; a date would need a clock that agrees with the collector's."""
    if header is None or not header.strip().isdigit():
        return None
    return min(float(header), MAX_RETRY_AFTER_S)

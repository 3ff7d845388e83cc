"""Export requests over HTTP/1.1: one kept-alive connection, the standard library, no retries of its own.

The answer of the collector is boiled down to what the exporter has to do next.
https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from __future__ import annotations

import gzip
import ssl
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from fanlight._config import Config
from fanlight._otlp import rejected_spans

Verdict: TypeAlias = Literal["delivered", "retry", "unreachable", "too_large", "rejected"]

RETRYABLE_STATUS: Final = frozenset({429, 502, 503, 504})  # OTLP/HTTP, "Retryable Response Codes"
GZIP_FROM_BYTES: Final = 1_024  # below it, gzip's head outweighs what it saves
GZIP_LEVEL: Final = 1  # 5 spans a ms; level 6 saves a further tenth for three times the CPU
MAX_RETRY_AFTER_S: Final = 60.0
MAX_ANSWER_BYTES: Final = 64 * 2**10


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one export request."""

    verdict: Verdict
    detail: str = ""
    retry_after_s: float | None = None
    rejected: int = 0


class HttpSender:
    """Sends encoded export requests to one URL. Used by one thread at a time."""

    def __init__(self, config: Config) -> None:
        parts = urlsplit(config.traces_url)
        self._config = config
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection: HTTPConnection | None = None
        self.url = config.traces_url

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
        connection.request("POST", self._target, payload, headers)
        response = connection.getresponse()
        body = response.read(MAX_ANSWER_BYTES)
        if response.read(1):
            self.close()
        return _outcome(response, body)

    def _connect(self, timeout_s: float) -> HTTPConnection:
        proxy = None if proxy_bypass(self._host) else getproxies().get("https" if self._secure else "http")
        via = urlsplit(proxy if "//" in proxy else f"//{proxy}") if proxy else None
        host, port = (via.hostname or "", via.port) if via else (self._host, self._port)
        connection: HTTPConnection
        if self._secure:
            connection = HTTPSConnection(host, port, timeout=timeout_s, context=self._tls())
        else:
            connection = HTTPConnection(host, port, timeout=timeout_s)
        if via:
            connection.set_tunnel(self._host, self._port or (443 if self._secure else 80))
        return connection

    def _tls(self) -> ssl.SSLContext:
        config = self._config
        context = ssl.create_default_context(cafile=config.certificate)
        if config.client_certificate:
            context.load_cert_chain(config.client_certificate, config.client_key)
        return context


def _failure(error: OSError | HTTPException) -> Outcome:
    refused = isinstance(error, ConnectionRefusedError)
    return Outcome("unreachable" if refused else "retry", f"{type(error).__name__}: {error}")


def _outcome(response: HTTPResponse, body: bytes) -> Outcome:
    if 200 <= response.status < 300:
        return Outcome("delivered", rejected=rejected_spans(body))
    detail = f"HTTP {response.status} {response.reason}"
    if response.status in RETRYABLE_STATUS:
        return Outcome("retry", detail, _retry_after_s(response.getheader("retry-after")))
    return Outcome("too_large" if response.status == 413 else "rejected", detail)


def _retry_after_s(header: str | None) -> float | None:
    """Seconds only; a date would need a clock that agrees with the collector's."""
    if header is None or not header.strip().isdigit():
        return None
    return min(float(header), MAX_RETRY_AFTER_S)

"""Export requests over gRPC, for collectors that speak nothing else; needs `pip install "fanlight[grpc]"`.

The requests are encoded already, so the channel carries bytes and needs no generated classes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import grpc  # type: ignore[import-untyped]  # grpcio ships no types

from fanlight._config import Config
from fanlight._otlp import rejected_spans
from fanlight._outcome import Outcome, Verdict

EXPORT: Final = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
# https://opentelemetry.io/docs/specs/otlp/#failures; every other code is final.
RETRYABLE: Final = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "DATA_LOSS"}
)


class GrpcSender:
    """Sends encoded export requests over one channel. Used by one thread at a time."""

    def __init__(self, config: Config) -> None:
        parts = urlsplit(config.traces_url)
        target = f"{parts.hostname}:{parts.port or 4317}"
        compression = grpc.Compression.Gzip if config.gzip else grpc.Compression.NoCompression
        if parts.scheme == "https":
            self._channel = grpc.secure_channel(target, _credentials(config), compression=compression)
        else:
            self._channel = grpc.insecure_channel(target, compression=compression)
        self._metadata = tuple(config.headers.items())
        self._export = self._channel.unary_unary(EXPORT)

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """Deliver one request within `timeout_s`; never raises for what the network or the collector does."""
        try:
            answer = self._export(payload, timeout=timeout_s, metadata=self._metadata)
        except grpc.RpcError as error:
            return _failure(error.code().name, error.details() or "")
        return Outcome("delivered", rejected=rejected_spans(answer))

    def close(self) -> None:
        self._channel.close()


def _failure(code: str, details: str) -> Outcome:
    verdict: Verdict = "rejected"
    if code == "UNAVAILABLE":  # also a busy collector's answer, whose details say nothing of connecting
        verdict = "unreachable" if "connect" in details else "retry"
    elif code in RETRYABLE:
        verdict = "too_large" if "larger than max" in details else "retry"
    return Outcome(verdict, f"gRPC {code}: {details}")


def _credentials(config: Config) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        _read(config.certificate), _read(config.client_key), _read(config.client_certificate)
    )


def _read(path: str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()

"""How a request ended, in the words of the store, and its tokens where no one reported them."""

from __future__ import annotations

from typing import Literal

from fanlight.capture.answer import Usage
from fanlight_schema.attributes import RequestOutcome, UsageSource

End = Literal["completed", "closed", "cut", "cancelled", "abandoned", "error"]

# Refused before any model worked; other 5xx may come after it did.
_REFUSED_STATUS = frozenset((503,))
# Exceptions raised before a request reached the server, by name.
_NOT_SENT = frozenset(
    (
        # httpx, httpx2
        "ConnectError",
        "ConnectTimeout",
        "PoolTimeout",
        "ProxyError",
        "UnsupportedProtocol",
        "LocalProtocolError",
        # urllib3
        "NewConnectionError",
        "NameResolutionError",
        "ConnectTimeoutError",
        "EmptyPoolError",
        "LocationValueError",
        # the standard library
        "ConnectionRefusedError",
        "gaierror",
        "SSLCertVerificationError",
        # aiohttp
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "ClientConnectorSSLError",
        "ClientConnectorCertificateError",
        "ClientProxyConnectionError",
        "ClientHttpProxyError",
        "UnixClientConnectorError",
        "ConnectionTimeoutError",
    )
)
_CANCELLED = frozenset(("CancelledError", "Cancelled", "KeyboardInterrupt", "SystemExit", "GeneratorExit"))
_CUT = frozenset(
    (
        # httpx, httpx2
        "RemoteProtocolError",
        "ReadError",
        "StreamClosed",
        "NetworkError",
        # the standard library, and urllib3 over it
        "IncompleteRead",
        "ConnectionResetError",
        "BrokenPipeError",
        "ProtocolError",
        # aiohttp
        "ClientPayloadError",
        "ServerDisconnectedError",
        "ClientOSError",
        "ClientConnectionResetError",
        # websockets
        "ConnectionClosedError",
        "ConnectionClosedOK",
    )
)

TEXT_BYTES_PER_TOKEN = 4  # help.openai.com, "What are tokens and how to count them": about 4 characters
MAX_BYTES_OF_ONE_TOKEN_EVENT = 8  # a stream whose events are longer on average does not send one token each


def end_of_error(name: str) -> End:
    """How an exception of a class with this name, out of a request or its stream, ended it."""
    if name in _CANCELLED:
        return "cancelled"
    return "cut" if name in _CUT else "error"


def outcome_of(status: int | None, end: End, error_name: str | None, *, began: bool) -> RequestOutcome:
    """What became of a request: `began` says that content of its answer was seen."""
    if status is None:
        return "refused" if error_name in _NOT_SENT else "unknown"
    if status >= 400:
        return "refused" if status < 500 or status in _REFUSED_STATUS else "unknown"
    if end == "completed" or (began and end in ("closed", "abandoned")):
        return "answered"
    return "unknown"


def completed_usage(reported: Usage, events: int, answer_bytes: int) -> tuple[Usage, UsageSource]:
    """Usage as reported; where that has no output yet (a stream cut before its end), as much as was seen."""
    seen = unreported_usage(None, events, answer_bytes) if reported.output_tokens is None else None
    if seen is None:
        return reported, "reported"
    return reported._replace(output_tokens=seen[0].output_tokens), seen[1]


def unreported_usage(
    asked_bytes: int | None, events: int, answer_bytes: int
) -> tuple[Usage, UsageSource] | None:
    """Tokens of a request without usage, from the bytes of text that it sent (None: not known) and from what
    was seen of its stream; None if nothing is known.

    Servers send one token per event unless they batch them; where the text per event is too long for that,
    the text's length decides.
    """
    output: int | None = events or None
    source: UsageSource = "counted"
    if answer_bytes > events * MAX_BYTES_OF_ONE_TOKEN_EVENT:
        output, source = max(events, round(answer_bytes / TEXT_BYTES_PER_TOKEN)), "estimated"
    if asked_bytes is not None:
        return Usage(round(asked_bytes / TEXT_BYTES_PER_TOKEN), output), "estimated"
    return None if output is None else (Usage(output_tokens=output), source)

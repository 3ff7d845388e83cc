"""Trace context for the user's own services, over HTTP, and for nobody else.

`FANLIGHT_PROPAGATE_TO=tools.internal,*.svc.cluster.local,127.0.0.1:9000` names them; without it nothing is
ever added to a request. What is added is what `carrier()` gives: `traceparent`, `baggage` with the user's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import Protocol

from fanlight._baggage import OWN_KEYS, parse_baggage
from fanlight._carrier import headers_of
from fanlight._cascade import here
from fanlight._guard import guarded
from fanlight._runtime import runtime
from fanlight._spans import suppressed


class Request(Protocol):
    """A request of a library that other instrumentations may give other headers meanwhile."""

    @property
    def headers(self) -> MutableMapping[str, str]: ...


class Lent:
    """Headers that a request carries only while it is on its way: a redirect to somebody else copies none."""

    __slots__ = ("_headers", "_lent", "_request")

    def __init__(self, request: Request, added: Iterable[tuple[str, str]]) -> None:
        self._request = request
        self._headers = headers = request.headers
        self._lent = [(name, headers.get(name), value) for name, value in added]
        headers.update(added)

    @guarded
    def take_back(self) -> None:
        """The request as the app made it, also where a copy of the headers has taken their place."""
        for headers in (self._headers, self._request.headers):
            for name, before, lent in self._lent:
                if headers.get(name) != lent:
                    continue  # taken back, or another's by now
                if before is None:
                    headers.pop(name, None)
                else:
                    headers[name] = before


@guarded
def lend(request: Request, host: str, port: int | None) -> Lent | None:
    """Add the running code's place to a request to one of the user's own hosts; None where nothing was."""
    added = additions(request.headers, host, port)
    return Lent(request, added) if added else None


def additions(headers: Mapping[str, str], host: str, port: int | None) -> list[tuple[str, str]]:
    """The headers to set. A `traceparent` that is there stays, and so does baggage, with ours before it."""
    host = host.lower()
    if suppressed() or not any(own.matches(host, port) for own in runtime.own_hosts):
        return []
    ours = headers_of(here())
    added: list[tuple[str, str]] = []
    if "traceparent" not in headers:
        added = [(name, value) for name, value in ours.items() if name != "baggage"]
    theirs, baggage = headers.get("baggage"), ours.get("baggage")
    if baggage and theirs:
        baggage = None if OWN_KEYS & parse_baggage(theirs).keys() else f"{baggage},{theirs}"
    return [*added, ("baggage", baggage)] if baggage else added

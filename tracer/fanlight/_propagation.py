"""Trace context for the user's own services, over HTTP, and for nobody else.

`FANLIGHT_PROPAGATE_TO=tools.internal,*.svc.cluster.local,127.0.0.1:9000` names them; without it nothing is
ever added to a request. What is added is what `carrier()` gives: `traceparent`, `baggage` with the user's id.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from fanlight._baggage import OWN_KEYS, parse_baggage
from fanlight._carrier import headers_of
from fanlight._cascade import here
from fanlight._guard import guarded
from fanlight._runtime import runtime


class Lent:
    """Headers that a request carries only while it is on its way: a redirect to somebody else copies none."""

    __slots__ = ("_before", "_headers")

    def __init__(self, headers: MutableMapping[str, str], added: Iterable[tuple[str, str]]) -> None:
        self._headers = headers
        self._before = [(name, headers.get(name)) for name, _ in added]
        headers.update(added)

    def take_back(self) -> None:
        """The request as the app made it."""
        for name, value in self._before:
            if value is None:
                self._headers.pop(name, None)
            else:
                self._headers[name] = value


@guarded
def lend(headers: MutableMapping[str, str], host: str, port: int | None) -> Lent | None:
    """Add the running code's place to a request to one of the user's own hosts; None where nothing was."""
    added = additions(headers, host, port)
    return Lent(headers, added) if added else None


def additions(headers: MutableMapping[str, str], host: str, port: int | None) -> list[tuple[str, str]]:
    """The headers to set. A `traceparent` that is there stays, and so does baggage, with ours before it."""
    if not any(own.matches(host, port) for own in runtime.own_hosts):
        return []
    ours = headers_of(here())
    added: list[tuple[str, str]] = []
    if "traceparent" not in headers:
        added = [(name, value) for name, value in ours.items() if name != "baggage"]
    theirs, baggage = headers.get("baggage"), ours.get("baggage")
    if baggage and theirs:
        baggage = None if OWN_KEYS & parse_baggage(theirs).keys() else f"{baggage},{theirs}"
    return [*added, ("baggage", baggage)] if baggage else added

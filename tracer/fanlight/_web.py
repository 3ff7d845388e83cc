"""What an entry reads of a web request: its route, its headers, and whether these are to be believed.

`AsgiCaller` reads an ASGI scope, `WsgiCaller` a WSGI environ. Frameworks leave the route that they chose in
there; what does not (Django) tells it through `route`. The path itself is never a name: it holds ids.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from opentelemetry.util.types import AttributeValue

from fanlight._entries import MAX_NAME_CHARS, Caller
from fanlight._guard import guard
from fanlight._runtime import runtime
from fanlight_schema import attributes as names

CARRYING = ("traceparent", "tracestate", "baggage")
_CARRYING_BYTES = frozenset(name.encode() for name in CARRYING)
# What proxies add: RFC 7239, RFC 9110 7.6.3, and the names in use before. Not X-Forwarded-Proto: Envoy as a
# sidecar adds it between services of one's own.
PROXIED = ("forwarded", "x-forwarded-for", "via", "x-real-ip", "x-forwarded-host")

_reading_route = guard("web.route")


class WebCaller(Caller, Protocol):
    """A request of either kind."""

    def carrying(self) -> dict[str, str]:
        """The headers that name an action or a trace."""
        ...

    def peer(self) -> str | None:
        """The address that the connection comes from, or None."""


class AsgiCaller:
    """A request or a websocket as its ASGI scope has it."""

    __slots__ = ("_scope", "route")

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._scope = scope
        self.route: str | None = None

    def name(self) -> str | None:
        return _named(self.method, self._chosen_route())

    def _chosen_route(self) -> str | None:
        """Asked anew each time: a middleware may call a model before the last router has chosen."""
        if self.route is not None:
            return self.route
        with _reading_route:
            return _asgi_route(self._scope)
        return None

    @property
    def method(self) -> str:
        return "WEBSOCKET" if self._scope["type"] == "websocket" else str(self._scope.get("method", ""))

    def attributes(self) -> Mapping[str, AttributeValue]:
        route = self._chosen_route()
        return {} if route is None else {names.HTTP_ROUTE: route}

    def header(self, name: str) -> str | None:
        wanted = name.encode("latin-1", "replace")
        found = [value for key, value in self._scope.get("headers", ()) if key == wanted]
        return _decode(b",".join(found)) if found else None

    def given(self) -> Mapping[str, Any]:
        return self._scope

    def carrying(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for key, value in self._scope.get("headers", ()):
            if key in _CARRYING_BYTES:  # the one pass that every request pays for
                found.setdefault(key.decode("latin-1"), _decode(value))
        return found

    def peer(self) -> str | None:
        client = self._scope.get("client")
        return str(client[0]) if client else None


class WsgiCaller:
    """A request as its WSGI environ has it."""

    __slots__ = ("_environ", "route")

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ
        self.route: str | None = None

    def name(self) -> str | None:
        self.read_route()
        return _named(str(self._environ.get("REQUEST_METHOD", "")), self.route)

    def read_route(self) -> None:
        """Werkzeug's request is in the environ only as long as Flask works on it."""
        if self.route is None:
            rule = getattr(self._environ.get("werkzeug.request"), "url_rule", None)
            self.route = None if rule is None else str(rule.rule)

    def attributes(self) -> Mapping[str, AttributeValue]:
        return {} if self.route is None else {names.HTTP_ROUTE: self.route}

    def header(self, name: str) -> str | None:
        value = self._environ.get("HTTP_" + name.upper().replace("-", "_"))
        return None if value is None else _decode(str(value).encode("latin-1", "replace"))  # PEP 3333

    def given(self) -> Mapping[str, Any]:
        return self._environ

    def carrying(self) -> dict[str, str]:
        return {name: value for name in CARRYING if (value := self.header(name)) is not None}

    def peer(self) -> str | None:
        return self._environ.get("REMOTE_ADDR")


def carried_headers(caller: WebCaller) -> dict[str, str] | None:
    """The headers that name an action or a trace, if there are some and they are believed; else None.

    Anyone may send them. `direct` believes a peer of the same machine or private network that no proxy
    speaks for: what comes from the internet comes from a public address, or through a proxy.
    """
    found = caller.carrying()
    return found if found and believes(caller) else None


def believes(caller: object) -> bool:
    """Whether what a caller says of its action and trace is believed; a queue's messages are."""
    if not isinstance(caller, (AsgiCaller, WsgiCaller)):
        return True
    trust = runtime.trust_headers
    return trust == "always" or (trust == "direct" and _is_direct(caller))


def _is_direct(caller: WebCaller) -> bool:
    peer = caller.peer()
    if peer is None or any(caller.header(name) is not None for name in PROXIED):
        return False
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:  # a Unix socket's name, a test client
        return False
    # Python before 3.13 takes every IPv4 address that is written as an IPv6 one for private.
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_private


def _decode(value: bytes) -> str:
    """A header's text: UTF-8 as most send it, else the latin-1 that HTTP once had."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _named(method: str, route: str | None) -> str | None:
    return f"{method} {route}"[:MAX_NAME_CHARS] if route else method or None


def _asgi_route(scope: Mapping[str, Any]) -> str | None:
    """The template that Starlette or FastAPI chose, with that of the app which it is mounted in."""
    route = scope.get("route") or _route_to(scope.get("endpoint"), getattr(scope.get("app"), "routes", ()))
    included = scope.get("fastapi")
    if isinstance(included, Mapping):  # newer FastAPI (0.165): with the prefix of an included router
        route = included.get("effective_route_context", route)
    if hasattr(route, "routes"):  # a mount, whose own app has not chosen yet
        return _mounted_at(scope)
    template = getattr(route, "path_format", None) or getattr(route, "path", None)
    return _mounted_at(scope) + template if isinstance(template, str) else None


def _route_to(endpoint: object, routes: Iterable[Any]) -> Any:
    """The route that leads to an endpoint: older Starlette (0.38) keeps the endpoint alone."""
    for route in () if endpoint is None else routes:
        if getattr(route, "endpoint", None) is endpoint:
            return route
        found = _route_to(endpoint, getattr(route, "routes", None) or ())
        if found is not None:
            return found
    return None


def _mounted_at(scope: Mapping[str, Any]) -> str:
    """The part of the path that mounts took, with the values of their parameters taken out again."""
    outer = str(scope.get("app_root_path", scope.get("root_path", "")))
    prefix = str(scope.get("root_path", "")).removeprefix(outer)
    names_of = {str(value): "{" + name + "}" for name, value in scope.get("path_params", {}).items()}
    return "/".join(names_of.get(part, part) for part in prefix.split("/"))

"""urllib3 1.26 and 2, alone or below requests and botocore.

`HTTPConnectionPool.urlopen` is one pass of a client: it retries inside itself, by calling itself.
`_make_request` is what is really sent, on a connection of http.client, which is where the answer is watched.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from fanlight._guard import guarded
from fanlight.patches import _sends
from fanlight.patches._call import Request
from fanlight.patches._hooks import Hook
from fanlight.patches._http_client import body_bytes, expect_answer, expect_nothing, path_of
from fanlight.patches._readings import Reading

MODULES = ("urllib3.connectionpool",)
_DEFAULT_PORTS = {"http": 80, "https": 443}


def patch_module(module: ModuleType, make_hook: type[Hook] = Hook) -> list[Hook]:
    """Watch every pool of connections."""
    pool = module.HTTPConnectionPool
    return [_watch_client(pool, make_hook), _watch_transport(pool, make_hook)]


class _Message(_sends.Message):
    """A request of urllib3 as `_sends` wants it."""

    __slots__ = ("_body", "_headers", "_pool", "_url")

    def __init__(self, pool: Any, method: str, url: str, body: object, headers: Any) -> None:
        super().__init__(method)
        self._pool = pool
        self._url = url
        self._body = body
        self._headers = headers

    def path(self) -> str:
        return path_of(self._url)

    def server(self) -> tuple[str, int | None]:
        port = self._pool.port
        default = _DEFAULT_PORTS.get(self._pool.scheme)
        return self._pool.host.strip("[]"), None if port == default else port

    def has_header(self, name: str) -> bool:
        return any(_lower(key) == name for key in self._headers or ())

    def body(self) -> bytes | None:
        return body_bytes(self._body)


class _Reply:
    """A response that did not come from http.client (HTTP/2): its body is not seen."""

    __slots__ = ("_response",)

    def __init__(self, response: Any) -> None:
        self._response = response

    def is_redirect(self) -> bool:
        return self._response.status in _sends.REDIRECTS and "location" in self._response.headers

    def from_cache(self) -> bool:
        return False

    def watch(self, request: Request | Reading) -> None:
        header = self._response.headers.get
        request.headers_came(self._response.status, (header("content-type") or "").lower(), None, header)
        request.finish("completed")


def _watch_client(owner: Any, make_hook: type[Hook]) -> Hook:
    hook = make_hook(owner, "urlopen")
    original = hook.original

    @functools.wraps(original)
    def urlopen(pool: Any, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        entry = _enter(pool, method, url, args, kwargs) if hook.on else None
        if entry is None:
            return original(pool, method, url, *args, **kwargs)
        try:
            response = original(pool, method, url, *args, **kwargs)
            _sends.answered(entry, _Reply(response))
        except BaseException as error:
            _sends.failed(entry, error)
            raise
        finally:
            _sends.leave(entry)
        return response

    hook.put(urlopen)
    return hook


def _watch_transport(owner: Any, make_hook: type[Hook]) -> Hook:
    hook = make_hook(owner, "_make_request")
    original = hook.original

    @functools.wraps(original)
    def make_request(pool: Any, conn: Any, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        entry = _enter_transport(pool, conn, method, url, kwargs) if hook.on else None
        if entry is None:
            return original(pool, conn, method, url, *args, **kwargs)
        try:
            response = original(pool, conn, method, url, *args, **kwargs)
            if expect_nothing(conn):
                _sends.answered(entry, _Reply(response))
        except BaseException as error:
            expect_nothing(conn)
            _sends.failed(entry, error)
            raise
        finally:
            _sends.leave(entry)
        return response

    hook.put(make_request)
    return hook


@guarded
def _enter(
    pool: Any, method: Any, url: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> _sends.Entry | None:
    """`urlopen(method, url, body=None, headers=None, ...)`. What only reads is seen by http.client."""
    if method.upper() != "POST":
        return None
    body = kwargs["body"] if "body" in kwargs else (args[0] if args else None)
    headers = kwargs["headers"] if "headers" in kwargs else (args[1] if len(args) > 1 else None)
    return _sends.enter(_Message(pool, method, str(url), body, headers), transport=False)


@guarded
def _enter_transport(
    pool: Any, conn: Any, method: Any, url: Any, kwargs: dict[str, Any]
) -> _sends.Entry | None:
    """`urlopen` gives body and headers by name, in both versions."""
    if method.upper() != "POST":
        return None
    message = _Message(pool, method, str(url), kwargs.get("body"), kwargs.get("headers"))
    entry = _sends.enter(message, transport=True)
    if entry is not None:
        expect_answer(conn, entry[0])
    return entry


def _lower(name: Any) -> str:
    text: str = name.decode("latin-1") if isinstance(name, bytes) else name
    return text.lower()

"""aiohttp's client.

`ClientSession._request` is one pass: it follows redirects, and sends again what an idle connection lost.
`ClientRequest.send` sends each of them, `ClientResponse.start` waits for the answer's headers. The body is
read from `ClientResponse.content`, already decompressed unless the session was told otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, MutableMapping
from types import ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from fanlight._guard import guarded
from fanlight._propagation import Lent, lend
from fanlight._runtime import runtime
from fanlight.capture.request import Asked, read_request
from fanlight.capture.wire_format import Endpoint
from fanlight.patches import _sends
from fanlight.patches._aiohttp_streams import reader_class
from fanlight.patches._call import Request
from fanlight.patches._hooks import Hook
from fanlight.patches._http_client import body_bytes
from fanlight.patches._inflate import inflate_for
from fanlight.patches._readings import Reading

MODULES = ("aiohttp.client",)


def patch_module(module: ModuleType, make_hook: type[Hook] = Hook) -> list[Hook]:
    """Watch every session."""
    return [
        _watch_client(module.ClientSession, make_hook),
        _watch_transport(module.ClientRequest, make_hook),
        _watch_answers(module.ClientResponse, make_hook),
    ]


class _Message(_sends.Message):
    """What `ClientSession._request` was called with."""

    __slots__ = ("_given", "_session", "_url")

    def __init__(self, session: Any, method: str, url: Any, given: dict[str, Any]) -> None:
        super().__init__(method)
        self._session = session
        self._url = session._build_url(url)
        self._given = given

    def path(self) -> str:
        path: str = self._url.raw_path
        return path

    def server(self) -> tuple[str, int | None]:
        return _server(self._url)

    def has_header(self, name: str) -> bool:
        given = self._given.get("headers") or ()
        return name in self._session.headers or any(str(key).lower() == name for key in given)

    def decompressed(self) -> bool:
        """Whether the answer's body will be, which may be said for one request alone."""
        return _decompresses(self._session, self._given)

    def body(self) -> bytes | None:
        json = self._given.get("json")
        if json is None:
            return body_bytes(self._given.get("data"))
        written = self._session.json_serialize(json)
        return body_bytes(written)

    def asked(self, endpoint: Endpoint) -> Asked | None:
        """A body that is still an object need not be written and read again."""
        json = self._given.get("json")
        if not isinstance(json, Mapping) or not endpoint.is_json:
            return super().asked(endpoint)
        return read_request(endpoint, self.path(), json) if endpoint.fits(json) else None


class _Sent(_sends.Message):
    """A `ClientRequest`."""

    __slots__ = ("_request",)

    def __init__(self, request: Any) -> None:
        super().__init__(request.method)
        self._request = request

    def path(self) -> str:
        path: str = self._request.url.raw_path
        return path

    def server(self) -> tuple[str, int | None]:
        return _server(self._request.url)

    def has_header(self, name: str) -> bool:
        return name in self._request.headers

    def body(self) -> bytes | None:
        body = self._request.body
        return body_bytes(getattr(body, "_value", body))


class _Reply:
    """A `ClientResponse` as `_sends` wants it."""

    __slots__ = ("_decompressed", "_response")

    def __init__(self, response: Any, *, decompressed: bool) -> None:
        self._response = response
        self._decompressed = decompressed

    def is_redirect(self) -> bool:
        return self._response.status in _sends.REDIRECTS and "location" in self._response.headers

    def from_cache(self) -> bool:
        return False

    def watch(self, request: Request | Reading) -> None:
        response, header = self._response, self._response.headers.get
        inflate = None if self._decompressed else inflate_for(header("content-encoding", ""))
        request.headers_came(response.status, header("content-type", "").lower(), inflate, header)
        content = response.content
        watched = reader_class(content.__class__)
        if response.status >= 400 or watched is None:
            request.finish("completed")
        else:
            response.content = watched(content, request)


def _watch_client(owner: Any, make_hook: type[Hook]) -> Hook:
    hook = make_hook(owner, "_request")
    original = hook.original

    @functools.wraps(original)
    async def request(session: Any, method: Any, url: Any, *args: Any, **kwargs: Any) -> Any:
        entry = _enter(session, method, url, kwargs) if hook.on else None
        if entry is None:
            return await original(session, method, url, *args, **kwargs)
        try:
            response = await original(session, method, url, *args, **kwargs)
            _sends.answered(entry, _Reply(response, decompressed=_decompresses(session, kwargs)))
        except BaseException as error:
            _sends.failed(entry, error)
            raise
        finally:
            _sends.leave(entry)
        return response

    hook.put(request)
    return hook


class _Awaited(NamedTuple):
    """A response whose headers have not come."""

    passing: _sends.Passing
    decompressed: bool  # its body will be


_awaited: MutableMapping[Any, _Awaited] = WeakKeyDictionary()


def _watch_transport(owner: Any, make_hook: type[Hook]) -> Hook:
    hook = make_hook(owner, "send")
    original = hook.original

    @functools.wraps(original)
    async def send(request: Any, *args: Any, **kwargs: Any) -> Any:
        entry = _enter_transport(request) if hook.on else None
        lent = _lend(request) if hook.on and runtime.own_hosts else None
        if entry is None and lent is None:
            return await original(request, *args, **kwargs)
        try:
            response = await original(request, *args, **kwargs)
        except BaseException as error:
            if entry is not None:
                _sends.failed(entry, error)
                _sends.leave(entry)
            raise
        finally:
            if lent is not None:
                lent.take_back()
        if entry is not None:
            _await_answer(request, response, entry)
        return response

    hook.put(send)
    return hook


def _watch_answers(owner: Any, make_hook: type[Hook]) -> Hook:
    hook = make_hook(owner, "start")
    original = hook.original

    @functools.wraps(original)
    async def start(response: Any, *args: Any, **kwargs: Any) -> Any:
        awaited = _awaited.pop(response, None) if _awaited else None
        if awaited is None:
            return await original(response, *args, **kwargs)
        try:
            result = await original(response, *args, **kwargs)
        except BaseException as error:
            _failed(awaited.passing, error)
            raise
        _answered(awaited, response)
        return result

    hook.put(start)
    return hook


@guarded
def _enter(session: Any, method: Any, url: Any, kwargs: dict[str, Any]) -> _sends.Entry | None:
    if method.upper() != "POST" and not (method.upper() == "GET" and _sends.may_be_a_look(str(url))):
        return None
    try:
        message = _Message(session, method, url, kwargs)
    except (TypeError, ValueError):  # no URL, as aiohttp will say
        return None
    return _sends.enter(message, transport=False)


@guarded
def _enter_transport(request: Any) -> _sends.Entry | None:
    above = _sends.passing()
    return None if above is None else _sends.enter(_Sent(request), transport=True)


@guarded
def _lend(request: Any) -> Lent | None:
    return lend(request, *_server(request.url))


@guarded
def _await_answer(request: Any, response: Any, entry: _sends.Entry) -> None:
    passing = _sends.step_out(entry)
    if passing is None:
        return
    above = _sends.passing()
    message = above.message if isinstance(above, _sends.Send) else None
    if isinstance(message, _Message):
        decompressed = message.decompressed()
    else:  # another library sends over this one
        decompressed = _decompresses(request._session, {})
    _awaited[response] = _Awaited(passing, decompressed)


@guarded
def _answered(awaited: _Awaited, response: Any) -> None:
    try:
        awaited.passing.answered(_Reply(response, decompressed=awaited.decompressed))
    finally:
        awaited.passing.left()


@guarded
def _failed(passing: _sends.Passing, error: BaseException) -> None:
    passing.failed(error)
    passing.left()


def _decompresses(session: Any, given: Mapping[str, Any]) -> bool:
    own: bool | None = given.get("auto_decompress")
    return bool(getattr(session, "_auto_decompress", True)) if own is None else own


def _server(url: Any) -> tuple[str, int | None]:
    return url.host or "", None if url.is_default_port() else url.port

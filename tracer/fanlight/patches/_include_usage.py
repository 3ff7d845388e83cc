"""Streams of the openai SDK whose usage is asked for, where the user named the host (FANLIGHT_INCLUDE_USAGE).

Such a stream has one more chunk, with usage and an empty `choices`. It is kept from the app: most code reads
`chunk.choices[0]`. What the app says of `stream_options` itself stands, and a raw response is left alone,
since its chunks are the app's to read.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Mapping
from typing import Any

from fanlight._guard import guarded
from fanlight._runtime import runtime
from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.formats import openai
from fanlight.patches._hooks import Hook

_RAW = "x-stainless-raw-response"  # a header that the SDK gives its own calls for raw responses


def ask_for_usage(owner: Any) -> list[Hook]:
    """Have the `request` of a client class, or of one client, ask for usage."""
    hook = Hook(owner, "request")
    original = hook.original
    one_client = None if isinstance(owner, type) else owner

    @functools.wraps(original)
    def request(*args: Any, **kwargs: Any) -> Any:
        asking = _asking(one_client or args[0], args, kwargs) if hook.on else None
        if asking is None:
            return original(*args, **kwargs)
        stream = original(*asking[0], **asking[1])
        _withhold(stream)
        return stream

    @functools.wraps(original)
    async def request_async(*args: Any, **kwargs: Any) -> Any:
        asking = _asking(one_client or args[0], args, kwargs) if hook.on else None
        if asking is None:
            return await original(*args, **kwargs)
        stream = await original(*asking[0], **asking[1])
        _withhold(stream)
        return stream

    hook.put(request_async if inspect.iscoroutinefunction(inspect.unwrap(original)) else request)
    return [hook]


def options_among(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """`request(cast_to, options)`, behind `self` where a class is patched."""
    if "options" in kwargs:
        return kwargs["options"]
    return args[-1] if hasattr(args[-1], "json_data") else args[-2]


@guarded
def _asking(
    client: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The arguments with usage asked for; None where it is not to be."""
    options = options_among(args, kwargs)
    body, more = options.json_data, options.extra_json or {}
    if not isinstance(body, dict) or body.get("stream") is not True:
        return None
    if "stream_options" in body or "stream_options" in more or _is_raw(options.headers):
        return None
    endpoint = endpoint_of(options.method, options.url)
    if endpoint is None or endpoint.format not in (openai.CHAT, openai.COMPLETIONS):
        return None
    url = client._prepare_url(options.url)
    if not any(host.matches(url.host, url.port) for host in runtime.include_usage):
        return None
    asking = copy.copy(options)
    asking.json_data = {**body, "stream_options": {"include_usage": True}}
    args = tuple(asking if given is options else given for given in args)
    return args, {name: asking if given is options else given for name, given in kwargs.items()}


def _is_raw(headers: object) -> bool:
    return isinstance(headers, Mapping) and any(str(name).lower() == _RAW for name in headers)


@guarded
def _withhold(stream: Any) -> None:
    chunks = getattr(stream, "_iterator", None)
    if hasattr(chunks, "__anext__"):
        stream._iterator = _OthersAsync(chunks)
    elif hasattr(chunks, "__next__"):
        stream._iterator = _Others(chunks)


class _Others:
    """All chunks of a stream but that with usage alone. No generator: asyncio would close two at once."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chunks, name)

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        while _brings_usage_alone(chunk := next(self._chunks)):
            pass
        return chunk


class _OthersAsync:
    """The same of an asynchronous stream."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = chunks

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chunks, name)

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        while _brings_usage_alone(chunk := await anext(self._chunks)):
            pass
        return chunk


def _brings_usage_alone(chunk: Any) -> bool:
    return getattr(chunk, "choices", None) == [] and getattr(chunk, "usage", None) is not None

"""Methods of SDKs that one model call goes through, with all the requests that it takes.

    watch(openai._base_client.SyncAPIClient, "request", read)

A call is open while such a method runs, so that its retries, which are below it, are requests of one call.
What an SDK is told is read by a function of its own module.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fanlight._guard import swallow
from fanlight._spans import suppressed
from fanlight.capture.request import decode_body, read_request
from fanlight.capture.wire_format import Endpoint
from fanlight.patches._call import Call
from fanlight.patches._current import Entered, current_call, enter_call, leave_call
from fanlight.patches._hooks import Hook


class Operation(NamedTuple):
    """What a method was called for."""

    endpoint: Endpoint
    path: str
    body: object  # of the request: a mapping or JSON bytes; anything else says nothing
    made_of: object  # what the method hands on as it is: a call is opened once for it


# Reads the positional arguments (behind `self` where a class is watched) and those by name; None: no model
# is asked.
Read = Callable[[tuple[Any, ...], Mapping[str, Any]], Operation | None]


def watch(owner: Any, name: str, read: Read) -> Hook:
    """Watch a method, sync or async, of a client class or of one client."""
    hook = Hook(owner, name)
    asynchronous = inspect.iscoroutinefunction(
        inspect.unwrap(hook.original)
    )  # below another tracer's wrapper
    hook.put((_watched_async if asynchronous else _watched)(hook, read))
    return hook


def watch_class(owner: Any, name: str, read: Read) -> list[Hook]:
    """Watch a method of a class, and of those of its subclasses that have it of their own: where another
    tracer has wrapped an inherited method there, it calls what it found then, past any later hook above."""
    own = [kind for kind in _subclasses(owner) if name in vars(kind)]
    return [watch(kind, name, read) for kind in (owner, *own)]


def _subclasses(owner: Any) -> list[Any]:
    found: list[Any] = []
    for kind in owner.__subclasses__():
        found += [kind, *_subclasses(kind)]
    return list(dict.fromkeys(found))


def _watched(hook: Hook, read: Read) -> Any:
    original = hook.original

    @functools.wraps(original)
    def operation(*args: Any, **kwargs: Any) -> Any:
        entry = _open(read, args, kwargs) if hook.on else None
        if entry is None:
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            _close(entry, error)
            raise
        _close(entry, None)
        return result

    return operation


def _watched_async(hook: Hook, read: Read) -> Any:
    original = hook.original

    @functools.wraps(original)
    async def operation(*args: Any, **kwargs: Any) -> Any:
        entry = _open(read, args, kwargs) if hook.on else None
        if entry is None:
            return await original(*args, **kwargs)
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:
            _close(entry, error)
            raise
        _close(entry, None)
        return result

    return operation


Entry = tuple[Call, Entered]


def _open(read: Read, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Entry | None:
    """Open the call that these arguments ask for; None if it is none, or is open already further out."""
    try:
        found = read(args, kwargs)
        if found is None or suppressed():
            return None
        above = current_call.get()
        if above is not None and above.running and above.made_of is found.made_of:
            return None
        body = decode_body(found.body) if isinstance(found.body, bytes) else found.body
        endpoint, known = found.endpoint, body if isinstance(body, dict) else None
        if known is not None and endpoint.keys and not endpoint.fits(known):
            return None  # POST /conversations is a request at Mistral's and none at OpenAI's
        call = Call(endpoint, read_request(endpoint, found.path, known), made_of=found.made_of)
        return call, enter_call(call)
    except Exception as error:  # noqa: BLE001  (a guard without its call)
        swallow("operations.open", error)
        return None


def _close(entry: Entry, error: BaseException | None) -> None:
    try:
        call, entered = entry
        leave_call(entered)
        call.returned(error)
    except Exception as failure:  # noqa: BLE001  (a guard without its call)
        swallow("operations.close", failure)

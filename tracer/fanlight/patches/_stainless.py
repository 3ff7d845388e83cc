"""SDKs made by Stainless: one method that every model call of theirs goes through.

`SyncAPIClient.request` and `AsyncAPIClient.request` of the SDK's `_base_client` take the options of any
resource method (`chat.completions.create`, `.parse`, `responses.stream`, `client.post`, raw and streaming
responses) and do the retries. A call is open while they run, so that all the requests below belong to it.
"""

from __future__ import annotations

import functools
import inspect
from types import ModuleType
from typing import Any

from fanlight._guard import guarded
from fanlight._spans import suppressed
from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.request import read_request
from fanlight.patches._call import Call
from fanlight.patches._current import Entered, enter_call, leave_call, running_call
from fanlight.patches._hooks import Hook

MODULES = ("openai",)


def patch_module(module: ModuleType) -> list[Hook]:
    """Watch every client of an SDK."""
    base = module._base_client
    return [watch_requests(base.SyncAPIClient), watch_requests(base.AsyncAPIClient)]


def watch_requests(owner: Any) -> Hook:
    """Watch the `request` of a client class, or of one client."""
    hook = Hook(owner, "request")
    original = hook.original
    if inspect.iscoroutinefunction(original):
        hook.put(_watched_async(hook))
    else:
        hook.put(_watched(hook))
    return hook


def _watched(hook: Hook) -> Any:
    original = hook.original

    @functools.wraps(original)
    def request(*args: Any, **kwargs: Any) -> Any:
        entry = _open(args, kwargs) if hook.on else None
        if entry is None:
            return original(*args, **kwargs)
        try:
            result = original(*args, **kwargs)
        except BaseException as error:
            _close(entry, error)
            raise
        _close(entry, None)
        return result

    return request


def _watched_async(hook: Hook) -> Any:
    original = hook.original

    @functools.wraps(original)
    async def request(*args: Any, **kwargs: Any) -> Any:
        entry = _open(args, kwargs) if hook.on else None
        if entry is None:
            return await original(*args, **kwargs)
        try:
            result = await original(*args, **kwargs)
        except BaseException as error:
            _close(entry, error)
            raise
        _close(entry, None)
        return result

    return request


Entry = tuple[Call, Entered]


@guarded
def _open(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Entry | None:
    """Open the call that these arguments ask for; None if it is none, or is open already further out."""
    options = kwargs["options"] if "options" in kwargs else _options(args)
    endpoint = endpoint_of(options.method, options.url)
    if endpoint is None or suppressed():
        return None
    above = running_call()
    if above is not None and above.options is options:
        return None
    body = options.json_data
    if options.extra_json:
        body = {**body, **options.extra_json} if isinstance(body, dict) else options.extra_json
    if isinstance(body, dict) and endpoint.is_json and not endpoint.fits(body):
        return None  # POST /conversations is a request at Mistral's and none at OpenAI's
    asked = read_request(endpoint, options.url, body if isinstance(body, dict) else None)
    call = Call(endpoint, asked, options=options)
    return call, enter_call(call)


def _options(args: tuple[Any, ...]) -> Any:
    """`request(cast_to, options)`, behind `self` where a class is patched."""
    return args[-1] if hasattr(args[-1], "json_data") else args[-2]


@guarded
def _close(entry: Entry, error: BaseException | None) -> None:
    call, entered = entry
    leave_call(entered)
    call.returned(error)

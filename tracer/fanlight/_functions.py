"""Functions of every kind with a span around each call.

A generator's span is current only while the generator's own code runs, not while its consumer's does; it ends
once, when the generator is exhausted, raises, is closed, or is dropped.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from opentelemetry.context import Context, attach, get_current

from fanlight._current import detach, finish
from fanlight._spans import LiveSpan

F = TypeVar("F", bound=Callable[..., object])
OpenSpan = Callable[..., LiveSpan]  # takes what the function is called with


def wrap_function(function: F, open_span: OpenSpan) -> F:
    """`function` with a span around each call; its kind, signature and results stay the same."""
    if inspect.isasyncgenfunction(function):
        wrapped: Callable[..., object] = _wrap_async_generator(function, open_span)
    elif inspect.iscoroutinefunction(function):
        wrapped = _wrap_coroutine(function, open_span)
    elif inspect.isgeneratorfunction(function):
        wrapped = _wrap_generator(function, open_span)
    else:
        wrapped = _wrap_plain(function, open_span)
    return cast(F, wrapped)


def _wrap_plain(function: Callable[..., object], open_span: OpenSpan) -> Callable[..., object]:
    @functools.wraps(function)
    def run(*args: object, **kwargs: object) -> object:
        with _around(open_span(*args, **kwargs)):
            return function(*args, **kwargs)

    return run


def _wrap_coroutine(function: Callable[..., Any], open_span: OpenSpan) -> Callable[..., object]:
    @functools.wraps(function)
    async def run(*args: object, **kwargs: object) -> object:
        with _around(open_span(*args, **kwargs)):
            return await function(*args, **kwargs)

    return run


def _wrap_generator(function: Callable[..., Any], open_span: OpenSpan) -> Callable[..., object]:
    @functools.wraps(function)
    def run(*args: object, **kwargs: object) -> Generator[object, object, object]:
        body: Generator[object, object, object] = function(*args, **kwargs)
        turns = Turns(open_span(*args, **kwargs))
        error: BaseException | None = None
        try:
            with turns.body():
                item = next(body)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with turns.body():
                        body.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001  (it is the consumer's, and the body gets it)
                    with turns.body():
                        item = body.throw(thrown)
                else:
                    with turns.body():
                        item = body.send(sent)
        except StopIteration as stop:
            return stop.value
        except BaseException as raised:
            error = raised
            raise
        finally:
            finish(turns.span, error)

    return run


def _wrap_async_generator(function: Callable[..., Any], open_span: OpenSpan) -> Callable[..., object]:
    @functools.wraps(function)
    async def run(*args: object, **kwargs: object) -> AsyncGenerator[object, object]:
        body: AsyncGenerator[object, object] = function(*args, **kwargs)
        turns = Turns(open_span(*args, **kwargs))
        error: BaseException | None = None
        try:
            with turns.body():
                item = await anext(body)
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    with turns.body():
                        await body.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001  (it is the consumer's, and the body gets it)
                    with turns.body():
                        item = await body.athrow(thrown)
                else:
                    with turns.body():
                        item = await body.asend(sent)
        except StopAsyncIteration:
            return
        except BaseException as raised:
            error = raised
            raise
        finally:
            finish(turns.span, error)

    return run


class _around:  # noqa: N801  (reads as a with statement)
    """A span that is current for a block and ends with it."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: LiveSpan) -> None:
        self._span = span
        self._token = attach(span.context)

    def __enter__(self) -> LiveSpan:
        return self._span

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        detach(self._token)
        finish(self._span, error)


class Turns:
    """The context of a generator's body, current in each of its turns and put by while the consumer runs."""

    __slots__ = ("_context", "span")

    def __init__(self, span: LiveSpan) -> None:
        self.span = span
        self._context: Context = span.context

    @contextmanager
    def body(self) -> Generator[None]:
        token = attach(self._context)
        try:
            yield
        finally:
            self._context = get_current()  # the body may be inside a step of its own when it yields
            detach(token)

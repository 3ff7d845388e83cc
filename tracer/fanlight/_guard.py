"""The one place of the tracer that swallows errors: ours never reach the app.

    with guard("export.encode"):
        ...our own code, never the app's...

An error is counted by place, logged the first time it happens there, and raised under test
(`raise_errors(True)`). `BaseException`s (cancellation, KeyboardInterrupt) always pass.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

logger = logging.getLogger("fanlight")

P = ParamSpec("P")
R = TypeVar("R")

_errors: Counter[str] = Counter()
_raising = False


def raise_errors(on: bool) -> None:
    """Let the tracer's own errors through: for tests, never for an app."""
    global _raising
    _raising = on


def error_counts() -> dict[str, int]:
    """How often the tracer failed, by the place where it did."""
    return dict(_errors)


def swallow(where: str, error: Exception) -> None:
    """Count an error of ours, log it once per place, raise it under test."""
    if _raising:
        raise error
    _errors[where] += 1
    if _errors[where] == 1:
        logger.warning(
            "fanlight failed in %s (%s: %s); the app is unaffected, further failures there are only counted",
            where,
            type(error).__name__,
            error,
            exc_info=error,
        )


class guard:  # noqa: N801  (used like contextlib.suppress)
    """A context manager that keeps an `Exception` of our own code from the app. Reusable and reentrant."""

    __slots__ = ("_where",)

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        if _raising:
            return False
        swallow(self._where, error)
        return True


def guarded(function: Callable[P, R]) -> Callable[P, R | None]:
    """A function of ours that gives None instead of raising."""
    where = f"{function.__module__.removeprefix('fanlight.').lstrip('_')}.{function.__qualname__}"

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return function(*args, **kwargs)
        except Exception as error:  # noqa: BLE001  (this module is where the tracer swallows)
            swallow(where, error)
            return None

    return run


def forget_errors() -> None:
    """Count and log from the start again: for tests."""
    _errors.clear()

"""The one place of the tracer that swallows errors: ours never reach the app.

    with guard("export.encode"):
        ...our own code, never the app's...

An error is counted by place, logged the first time it happens there, and raised under test
(`raise_errors(True)`). `BaseException`s (cancellation, KeyboardInterrupt) always pass.
"""

from __future__ import annotations

import functools
import logging
import traceback
from collections import Counter
from collections.abc import Callable, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from fanlight._secrets import without_secrets

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # not generic at run time before Python 3.11


class _Named(_Adapter):
    """Puts our name before each message: an app that has not set up logging shows the message alone."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"fanlight: {msg}", kwargs


logger = _Named(logging.getLogger("fanlight"), {})

P = ParamSpec("P")
R = TypeVar("R")

MAX_WARNINGS: Final = 100  # different ones that are logged; an app that makes more has read about it by then

_errors: Counter[str] = Counter()
_warned: set[str] = set()
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
        # Not as exc_info: an app's error reporter keeps the variables of frames, and ours hold keys.
        logger.warning(
            "failed in %s (%s: %s); the app is unaffected, further failures there are only counted\n%s",
            where,
            type(error).__name__,
            _said(error),
            "".join(traceback.format_tb(error.__traceback__)).rstrip(),
        )


def _said(error: Exception) -> str:
    try:
        return without_secrets(str(error))
    except Exception:  # noqa: BLE001  (an app's class, whose text fails)
        return "without a text"


def warn_once(message: str, *values: object) -> None:
    """Log a use of fanlight that has no effect, the first time only."""
    text = message % values
    if text not in _warned and len(_warned) < MAX_WARNINGS:
        _warned.add(text)
        logger.warning("%s", text)


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
    _warned.clear()

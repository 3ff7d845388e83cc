"""What a finaliser may not do, put off until the running code is none.

The garbage collector stops a thread anywhere, also where it holds a lock of the app's own span processor, and
runs finalisers there: of a stream that nobody closed, of a generator that was dropped. A span that ended
there would call that processor, which would wait for ever for its own thread. What is put off happens when
the next span starts, when the exporter wakes (every second), and before a flush or the process's end.
"""

from __future__ import annotations

import gc
import os
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import get_ident

from fanlight._guard import guard

_collecting: int | None = None  # the thread in which the garbage collector is running
put_off_endings: deque[Callable[[], object]] = deque()
_catching_up = guard("finalisers.catch_up")

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=put_off_endings.clear)


def watch() -> None:
    """Know from now on when the garbage collector runs. Idempotent."""
    if _notice not in gc.callbacks:
        gc.callbacks.append(_notice)


def unwatch() -> None:
    """Leave no callback behind."""
    global _collecting
    with suppress(ValueError):
        gc.callbacks.remove(_notice)
    _collecting = None


def in_collector() -> bool:
    """Whether the running code was called by the garbage collector."""
    return _collecting is not None and _collecting == get_ident()


def put_off(ending: Callable[[], object]) -> None:
    """Have `ending` called outside the garbage collector."""
    put_off_endings.append(ending)


def catch_up() -> None:
    """Do what was put off, unless the garbage collector is running here."""
    while put_off_endings and not in_collector():
        with _catching_up, suppress(IndexError):  # another thread was faster
            put_off_endings.popleft()()


def _notice(phase: str, info: Mapping[str, int]) -> None:
    global _collecting
    _collecting = get_ident() if phase == "start" else None

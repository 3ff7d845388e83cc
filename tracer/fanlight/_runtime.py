"""The tracer's state in this process: on or off, whose provider, and where ended spans go."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

from opentelemetry import trace

if TYPE_CHECKING:
    from fanlight._spans import LiveSpan

SCOPE = "fanlight"


class Sink(Protocol):
    """Where ended spans go. `accept` is called on the app's thread: it must not block, and it may be called
    from a finaliser while the same thread is inside it."""

    def accept(self, span: LiveSpan) -> None: ...

    def flush(self, timeout_s: float) -> bool: ...

    def shutdown(self, timeout_s: float) -> bool: ...


class Runtime:
    """One per process. `on` is False until `instrument()`; spans are then inert."""

    def __init__(self) -> None:
        self.on = False
        self.sink: Sink | None = None
        self.provider: trace.TracerProvider | None = None  # given to instrument(), or the app's global one
        self.tracer: trace.Tracer | None = None
        self.fork_generation = 0
        self.ids = random.Random()


runtime = Runtime()

"""The tracer's state in this process: on or off, whose provider, and where ended spans go."""

from __future__ import annotations

import os
import random
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opentelemetry import trace

    from fanlight._config import Trust
    from fanlight._entries import Person
    from fanlight._own_hosts import OwnHost
    from fanlight._spans import LiveSpan
    from fanlight.capture.content import ContentPolicy

SCOPE_NAME = "fanlight"


class Sink(Protocol):
    """Where ended spans go.

    `accept`, `announce` and `forget` run on the app's thread: they must not wait, and a finaliser may call
    them while the same thread is inside one. `flush` and `shutdown` say whether everything was delivered.
    """

    spools: bool  # whether `announce` does anything

    def announce(self, span: LiveSpan, told: bytes) -> None:
        """What is to be told of an open span if the process dies: encoded spans, its own first."""

    def forget(self, span: LiveSpan) -> None:
        """An announced span that will not be accepted."""

    def accept(self, span: LiveSpan) -> None: ...

    def accept_encoded(self, data: bytes) -> None: ...

    def flush(self, timeout_s: float) -> bool: ...

    def shutdown(self, timeout_s: float, *, ending: bool = False) -> bool:
        """`ending`: the process ends, so what is open will never end."""
        ...

    def before_fork(self) -> None:
        """What `after_fork` finds must be whole: called until one of the next two, in the same thread."""

    def after_fork_in_parent(self) -> None: ...

    def after_fork(self) -> None: ...


class Runtime:
    """One per process. `on` is False until `instrument()`; spans are then inert."""

    def __init__(self) -> None:
        self.scope_name = SCOPE_NAME
        self.version = _version()
        self.fork_generation = 0  # a span that was open at a fork is the parent's to end
        # Not the shared generator: an app that calls random.seed() would repeat ids.
        self.ids = random.Random()
        self._at_fork: Sink | None = None
        self.reset()

    def reset(self) -> None:
        """Off, as before `instrument()`."""
        self.on = False
        self.sink: Sink | None = None
        self.export_url: str | None = None
        self.shutdown_timeout_s = 2.0
        self.follow_global = True
        self.provider: trace.TracerProvider | None = None
        self.tracer: trace.Tracer | None = None
        self.seen_processors: object = None
        self.app_exports_here = False
        self.error_messages = False
        self.app_spans = True
        self.subprocesses = False
        self.user: Person | None = None
        self.session: Person | None = None
        self.trust_headers: Trust = "direct"
        self.own_hosts: tuple[OwnHost, ...] = ()
        self.include_usage: tuple[OwnHost, ...] = ()  # that are asked for it in streams
        self.content: ContentPolicy | None = None  # None: nothing that was said is kept

    def before_fork(self) -> None:
        sink = self.sink
        if sink is not None:
            sink.before_fork()
            self._at_fork = sink  # one thread at a time comes to here

    def after_fork_in_parent(self) -> None:
        sink, self._at_fork = self._at_fork, None
        if sink is not None:
            sink.after_fork_in_parent()

    def after_fork(self) -> None:
        self.fork_generation += 1
        self.ids = random.Random()
        sink, self._at_fork = self._at_fork, None
        if sink is not None:
            sink.after_fork()


def _version() -> str:
    try:
        return version("fanlight")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0"


runtime = Runtime()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=runtime.before_fork,
        after_in_parent=runtime.after_fork_in_parent,
        after_in_child=runtime.after_fork,
    )

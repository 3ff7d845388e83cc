"""Replace a method, or listen to a signal, and undo it, leaving nothing behind."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

# A method of somebody else's: its types are theirs.
Method = Callable[..., Any]
_MISSING = object()
_numbers = itertools.count()


class Hook:
    """One replaced attribute of a class or an object; while `on` is False the replacement only passes."""

    __slots__ = ("_name", "_own_before", "_owner", "_replacement", "number", "on", "original")

    def __init__(self, owner: object, name: str) -> None:
        self.number = next(_numbers)
        self._owner = owner
        self._name = name
        self._own_before = vars(owner).get(name, _MISSING)
        self._replacement: Any = None
        self.original: Method = getattr(owner, name)
        self.on = True

    def put(self, replacement: Any) -> None:
        """Set the replacement."""
        self._replacement = replacement
        setattr(self._owner, self._name, replacement)

    def remove(self) -> None:
        """Restore what was there; where someone has wrapped ours since, ours stays below and only passes."""
        self.on = False
        if vars(self._owner).get(self._name) is not self._replacement:
            return
        if self._own_before is _MISSING:
            delattr(self._owner, self._name)
        else:
            setattr(self._owner, self._name, self._own_before)


class SignalHook:
    """A receiver of a signal, as Celery and Django have them."""

    __slots__ = ("_receiver", "_signal", "number")

    def __init__(self, signal: Any, receiver: Callable[..., None]) -> None:
        self.number = next(_numbers)
        self._signal = signal
        self._receiver = receiver
        signal.connect(receiver, weak=False)

    def remove(self) -> None:
        self._signal.disconnect(self._receiver)


def remove_all(hooks: Iterable[Hook | SignalHook]) -> None:
    """The latest first: one method may have two, that of `instrument()` and that of a wrapped client."""
    for hook in sorted(hooks, key=lambda hook: hook.number, reverse=True):
        hook.remove()

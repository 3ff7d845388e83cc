"""Logfire, which switches all instrumentation off below its own span of a call, so that it is told of once.

Where Logfire was switched on after fanlight, that lies between the app and what fanlight watches. It is not
the app that wants to be left alone there, so the call and its requests are seen all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from opentelemetry.context import attach, detach

from fanlight._spans import seen_all_the_same
from fanlight.patches._hooks import Hook

MODULES = ("logfire._internal.integrations.llm_providers.llm_provider",)
_SUPPRESS = "maybe_suppress_instrumentation"


def patch_module(module: ModuleType) -> list[Hook]:
    """Know its suppression from the app's."""
    if not hasattr(module, _SUPPRESS):
        return []
    hook = Hook(module, _SUPPRESS)
    original = hook.original

    @contextmanager
    def suppress(suppress: bool) -> Iterator[None]:
        token = attach(seen_all_the_same())
        try:
            with original(suppress):
                yield
        finally:
            detach(token)

    hook.put(suppress)
    return [hook]

"""The current context of OpenTelemetry, past its two layers of Python where it is a context variable."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token

from opentelemetry import context
from opentelemetry.context import Context

__all__ = ["Context", "attach", "get_current"]

# As OpenTelemetry's own.
get_current: Callable[[], Context] = context.get_current
attach: Callable[[Context], Token[Context]] = context.attach

_variable = getattr(context._RUNTIME_CONTEXT, "_current_context", None)
if type(_variable) is ContextVar:
    get_current, attach = _variable.get, _variable.set

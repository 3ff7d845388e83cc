"""Making a step's context the current one, undoing that, and ending the step by how its body ended."""

from __future__ import annotations

from contextvars import Token

from opentelemetry import context
from opentelemetry.context import Context

from fanlight._spans import LiveSpan


def detach(token: Token[Context]) -> None:
    """Restore the context before `attach`; in another context than that there is nothing to restore.

    OpenTelemetry's own detach logs an error for that, and it is ordinary: the event loop closes an abandoned
    async generator in a task of its own.
    """
    variable = getattr(token, "var", None)
    if variable is None:  # a runtime context of OpenTelemetry that is not contextvars
        context.detach(token)
        return
    try:  # noqa: SIM105  (`suppress` is three calls, for every call of a model)
        variable.reset(token)
    except (ValueError, RuntimeError):
        pass


def finish(span: LiveSpan, error: BaseException | None, end_time_ns: int | None = None) -> None:
    """End a step's span by how its body ended, now unless it was before."""
    if error is not None and not is_ordinary_end(error):
        span.fail(error)
    span.end(end_time_ns)


def is_ordinary_end(error: BaseException) -> bool:
    if isinstance(error, SystemExit):
        return not error.code
    return isinstance(error, (GeneratorExit, *_control_flow))


# Exceptions by which frameworks pause or redirect a step: nothing has failed.
_control_flow: list[type[BaseException]] = []


def not_failures(*kinds: type[BaseException]) -> None:
    """Let a step that ends by one of these exceptions end as any other."""
    _control_flow.extend(kind for kind in kinds if kind not in _control_flow)

"""An action across a queue, a cron job, a subprocess, or any border that context does not cross by itself.

job = {"headers": fanlight.carrier(), ...}      # where the work is handed over
with fanlight.resume(job["headers"]): ...       # where it is done
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

from opentelemetry import baggage
from opentelemetry.context import Context, attach, get_current
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fanlight._baggage import OWN_KEYS, cascade_from_members, format_baggage, members_of, parse_baggage
from fanlight._cascade import cascade_in, entry_in, here, with_cascade
from fanlight._current import detach
from fanlight._guard import guard

Headers = Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]]

_TRACE_CONTEXT = TraceContextTextMapPropagator()
_NAMES = frozenset({"traceparent", "tracestate", "baggage"})


def carrier() -> dict[str, str]:
    """Headers that say which action, user and span the running code belongs to: `traceparent`, `baggage` and,
    where there is one, `tracestate`. The app's own baggage goes along. Empty outside any trace; `baggage` is
    alone in a request or task that has no span yet."""
    return headers_of(here())


def headers_of(context: Context) -> dict[str, str]:
    """The same for a context that need not be the current one."""
    headers: dict[str, str] = {}
    with guard("carrier.write"):
        entry = entry_in(context)
        if entry is not None:
            context = entry.announce(context)
        _TRACE_CONTEXT.inject(headers, context)
        cascade = cascade_in(context)
        members = [] if cascade is None else members_of(cascade)
        foreign = baggage.get_all(context).items()
        members += [(key, str(value)) for key, value in foreign if key not in OWN_KEYS]
        if text := format_baggage(members):
            headers["baggage"] = text
    return headers


@contextmanager
def resume(headers: Headers | None) -> Iterator[None]:
    """Go on with the action that `carrier()` gave, here: what runs inside belongs to it.

    Takes a mapping or pairs, names in any case (`TRACEPARENT` of an environment too), values as text or
    bytes; other headers are ignored, and so is what is malformed. Without a trace in it, nothing changes.
    """
    context = get_current()
    with guard("carrier.read"):
        context = context_of(headers, context)
    token = attach(context)
    try:
        yield
    finally:
        detach(token)


def context_of(headers: Headers | None, context: Context) -> Context:
    """`context` with what the headers say; malformed ones say nothing."""
    found = _read(headers or {})
    context = _TRACE_CONTEXT.extract(found, context)
    members = parse_baggage(found.get("baggage", ""))
    for key, value in members.items():
        if key not in OWN_KEYS:
            context = baggage.set_baggage(key, value, context)
    cascade = cascade_from_members(members)
    return context if cascade is None else with_cascade(cascade, context)


def _read(headers: Headers) -> dict[str, str]:
    items = getattr(headers, "items", None)  # also of email.message.Message, which is no Mapping
    pairs = cast("Iterable[tuple[str | bytes, str | bytes]]", headers if items is None else items())
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.decode("latin-1").lower() if isinstance(name, bytes) else str(name).lower()
        if key in _NAMES and key not in found:
            found[key] = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return found

"""`fanlight trace` where traces and actions are not one to one: whole trees by hand."""

import io
import re
from typing import Any

from rich.console import Console

import otlp_json
from fanlight_collectors.cli.trace import find_action, show_cascade
from fanlight_schema import refresh
from fanlight_schema.store import Store

START_NS = 1_795_400_000 * 10**9
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
OUTER, INNER, WORKER, NEXT, OTHER, MANY = 0xA, 0xAA, 0xB, 0xC, 0xD, 0xE


class StoreReader:
    """A store as commands read it."""

    shown = "a store"

    def __init__(self, store: Store) -> None:
        self._store = store

    def query_bytes(self, sql: str, output_format: str) -> bytes:
        return self._store.query_bytes(sql, output_format)

    def close(self) -> None:
        self._store.close()


def span(trace: int, number: int, parent: int, name: str, link: int = 0, **attributes: str) -> dict[str, Any]:
    """A span of the second after the one with the number before it; span ids come again in other traces."""
    links = {"Links.TraceId": [f"{link:032x}"], "Links.SpanId": [f"{1:016x}"]}
    rest = {"Links.TraceState": [""], "Links.Attributes": [{}]}
    return otlp_json.row(
        trace_id=f"{trace:032x}",
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        start_ns=START_NS + (trace * 16 + number) * 10**9,
        end_ns=START_NS + (trace * 16 + number + 1) * 10**9,
        name=name,
        attributes={key.replace("__", "."): value for key, value in attributes.items()},
    ) | (links | rest if link else {})


def chat(trace: int, number: int, parent: int, name: str) -> dict[str, Any]:
    return span(trace, number, parent, name) | {"SpanAttributes": CHAT}


def action(action_id: int) -> dict[str, str]:
    return {
        "fanlight__action__id": f"{action_id:032x}",
        "fanlight__role": "action",
        "fanlight__action__name": f"{action_id:x}",
    }


def test_the_tree_holds_the_spans_that_are_counted_whatever_trace_they_are_of(embedded_store: Store) -> None:
    rows = [
        span(OUTER, 1, 0, "GET /"),  # names no action, and so is of the one that its trace names first
        span(OUTER, 2, 1, "inner", **action(INNER)),
        chat(OUTER, 3, 2, "chat inner"),
        span(WORKER, 1, 0, "worker", link=OTHER),
        chat(WORKER, 2, 1, "chat worker"),
        span(NEXT, 1, 0, "next worker", link=WORKER),
        chat(NEXT, 2, 1, "chat next"),
        span(OTHER, 1, 0, "asked", **action(OTHER)),
        span(OTHER, 2, 1, "begun inside", **action(MANY)),
        chat(OTHER, 3, 2, "chat inside"),
    ]
    embedded_store.insert("otel_traces", otlp_json.columns(rows))
    refresh.settle(embedded_store, timeout_s=60)
    reader = StoreReader(embedded_store)

    def tree(prefix: str) -> list[str]:
        action_id, others = find_action(reader, prefix)
        shown = io.StringIO()
        show_cascade(Console(file=shown, width=80), reader, action_id, None)
        lines = shown.getvalue().partition("critical path")[2].splitlines()[2:]
        also = [f"also {one['action_name']}" for one in others]
        return [re.split(r"(?<=[\w/])  ", line)[0] for line in lines] + also

    assert tree(f"{INNER:032x}") == ["GET /", "└─ action inner", "   └─ chat inner"]
    assert tree(f"{OUTER:032x}") == tree(f"{INNER:032x}")  # its trace has no other action
    assert tree(f"{OTHER:032x}") == ["worker", "└─ chat worker", "action asked", f"also {MANY:x}"]
    assert tree(f"{MANY:032x}") == ["action begun inside", "└─ chat inside"]
    # What links to a trace that is of another action itself is an action of its own, with that trace's id.
    assert tree(f"{WORKER:032x}") == ["next worker", "└─ chat next", f"also {OTHER:x}"]

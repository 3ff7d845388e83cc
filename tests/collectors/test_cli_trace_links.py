"""`fanlight trace` where traces and actions are not one to one: whole trees by hand."""

import re
from pathlib import Path
from typing import Any

import made_store
import otlp_json
from fanlight_cli import run_cli

START_NS = 1_795_400_000 * 10**9
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}
OUTER, INNER, WORKER, NEXT, OTHER, MANY = 0xA, 0xAA, 0xB, 0xC, 0xD, 0xE


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


def test_the_tree_holds_the_spans_that_are_counted_whatever_trace_they_are_of(tmp_path: Path) -> None:
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
    folder = tmp_path / "data"
    made_store.make(folder, rows=rows)

    def tree(action_id: int) -> list[str]:
        shown = run_cli("trace", f"{action_id:032x}", "--store", str(folder), folder=tmp_path)
        lines = shown.stdout.partition("critical path")[2].splitlines()[2:]
        return [re.split(r"(?<=[\w/])  ", line)[0] for line in lines]

    def also(action_id: int, name: str) -> str:
        return f"a trace of this id has spans of other actions: {action_id:032x} {name}"

    assert tree(INNER) == ["GET /", "└─ action inner", "   └─ chat inner"]
    assert tree(OTHER) == ["worker", "└─ chat worker", "action asked", also(MANY, f"{MANY:x}")]
    assert tree(MANY) == ["action begun inside", "└─ chat inside"]
    # What links to a trace that is of another action itself is an action of its own, with that trace's id.
    assert tree(WORKER) == ["next worker", "└─ chat next", also(OTHER, f"{OTHER:x}")]
    part = run_cli("trace", f"{OUTER:032x}", "--store", str(folder), folder=tmp_path)
    assert part.stdout.startswith(f"{INNER:x}")

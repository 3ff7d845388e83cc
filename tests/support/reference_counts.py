"""Counts cascades from rows of otel_traces by plain walks over dictionaries; shares no code with the SQL.

    for action_id, members in reference_counts.actions(rows).items():
        calls = reference_counts.calls(members)

Rules: DESIGN.md "What is counted once". Rows may repeat and come in any order and state. What the views make
of it is in reference_views.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
Key = tuple[str, str]

FOREIGN_ROLES = {"LLM": "call", "AGENT": "agent", "TOOL": "tool"}
TOKENS = {
    "input_tokens": ("gen_ai.usage.input_tokens", "llm.token_count.prompt"),
    "cached_tokens": ("gen_ai.usage.cache_read.input_tokens",),
    "cache_write_tokens": ("gen_ai.usage.cache_creation.input_tokens",),
    "output_tokens": ("gen_ai.usage.output_tokens", "llm.token_count.completion"),
    "reasoning_tokens": ("gen_ai.usage.reasoning.output_tokens",),
}


@dataclass
class Node:
    """A span with its place in its trace."""

    row: Row
    role: str
    parent: "Node | None" = None
    hidden: bool = False  # only describes a call that was observed
    wraps: bool = False  # has a call below it that counts instead
    passes_on: bool = False  # that call is another process's: a gateway

    def attribute(self, *names: str) -> str:
        return next((str(value) for n in names if (value := self.row["SpanAttributes"].get(n, ""))), "")

    @property
    def start(self) -> int:
        return int(self.row["Timestamp"])

    @property
    def end(self) -> int:
        return self.start + int(self.row["Duration"])

    @property
    def order(self) -> tuple[int, str, str]:
        return self.start, self.row["TraceId"], self.row["SpanId"]

    @property
    def died(self) -> bool:
        return self.attribute("error.type") == "process_died"

    @property
    def wire(self) -> bool:
        return self.attribute("fanlight.wire") == "true"

    @property
    def from_elsewhere(self) -> bool:
        return self.attribute("fanlight.parent.remote") == "true"

    def above(self) -> "Iterable[Node]":
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


@dataclass
class Call:
    """A model call that counts: the span that tells of it, and the requests that it sent."""

    shown: Node
    sent: list[Node] = field(default_factory=list)
    span_id: str = ""
    lost: bool = False  # its own span has not arrived; the requests stand for it
    alike: list[Node] = field(default_factory=list)  # other libraries' spans of the same call
    engines: list[Node] = field(default_factory=list)  # spans of the engine that answered it

    @property
    def start(self) -> int:
        return min(node.start for node in self.sent) if self.lost else self.shown.start

    @property
    def end(self) -> int:
        return max(node.end for node in self.sent) if self.lost else self.shown.end

    @property
    def observed(self) -> bool:
        told = self.shown.attribute("fanlight.requests") != ""
        return self.lost or told or (self.shown.wire and not self.shown.died)

    @property
    def requests(self) -> int:
        if self.lost:
            return len(self.sent)
        if told := self.shown.attribute("fanlight.requests"):
            return int(told)
        if self.shown.died:
            return max(len(self.sent), 1)
        return len(self.sent) if self.shown.wire else 1

    @property
    def model(self) -> str:
        return self.shown.attribute("gen_ai.response.model", "gen_ai.request.model", "llm.model_name")

    def tokens(self, kind: str) -> int | None:
        found = [node.attribute(*TOKENS[kind]) for node in (self.shown, *self.alike)]
        return next((int(value) for value in found if value), None)


def actions(rows: Iterable[Row]) -> dict[str, list[Node]]:
    """The spans of every action that the rows hold."""
    nodes = _linked(_distinct(rows))
    _mark_calls(nodes)
    by_action: dict[str, list[Node]] = defaultdict(list)
    first_named = _first_named_action(nodes)
    for node in nodes:
        trace_id = str(node.row["TraceId"])
        named = [_named_action(n) for n in [node, *node.above()]]
        own = next((value for value in named if value), "")
        by_action[own or first_named.get(trace_id, trace_id)].append(node)
    return {action_id: members for action_id, members in by_action.items() if _is_action(members)}


def calls(members: list[Node]) -> list[Call]:
    """The model calls of an action, each once."""
    innermost = [n for n in members if n.role == "call" and not (n.hidden or n.wraps or n.passes_on)]
    sent, without_call = _requests(members)
    told = [Call(node, sent.get(id(node), []), node.row["SpanId"]) for node in innermost]
    for call in told:
        engines = [node for node in members if node.role == "engine" and _call_above(node) is call.shown]
        call.engines = sorted(engines, key=lambda node: node.order)
    return [*_without_duplicates(told), *(_of_requests(*group) for group in without_call.items())]


def duplicates(members: list[Node]) -> int:
    """Spans that describe a call which another one describes as well."""
    beside = sum(len(call.alike) for call in calls(members))
    return beside + sum(node.hidden for node in members)


def root_of(members: list[Node]) -> tuple[Node, bool]:
    """The span that stands for the action, and whether it is its root."""
    root = min(members, key=lambda node: (_distance(node), node.order))
    return root, _distance(root) < 2


def first_said(members: list[Node], name: str) -> str:
    """What the root, else the earliest span that has it, says; empty if none does."""
    root, _ = root_of(members)
    told = [root, *sorted(members, key=lambda node: node.order)]
    return next((value for node in told if (value := node.attribute(name))), "")


def name_of(members: list[Node]) -> str:
    """The name that a span gives the action, else that of its root, else of the earliest span on top."""
    if said := first_said(members, "fanlight.action.name"):
        return said
    root, arrived = root_of(members)
    tops = [root] if arrived else [node for node in members if node.parent is None]
    return str(min(tops, key=lambda node: node.order).row["SpanName"]) if tops else ""


def steps(node: Node) -> int:
    """Agents and tools from the root down to this span."""
    own = node.role in ("agent", "tool")
    if node.attribute("fanlight.hop"):
        return int(node.attribute("fanlight.hop")) + own
    return (steps(node.parent) if node.parent else 0) + own


def _distinct(rows: Iterable[Row]) -> list[Row]:
    best: dict[Key, Row] = {}
    for row in rows:
        key = (row["TraceId"], row["SpanId"])
        if key not in best or _rank(row) > _rank(best[key]):
            best[key] = row
    return list(best.values())


def _rank(row: Row) -> tuple[bool, int]:
    return row["Duration"] > 0, len(row["SpanAttributes"])


def _linked(rows: list[Row]) -> list[Node]:
    nodes = {(row["TraceId"], row["SpanId"]): Node(row, _role(row)) for row in rows}
    for (trace_id, _), node in nodes.items():
        node.parent = nodes.get((trace_id, node.row["ParentSpanId"]))
    for node in sorted(nodes.values(), key=lambda node: node.order):
        if _is_above_itself(node):
            node.parent = None  # the earliest of a circle
    return list(nodes.values())


def _is_above_itself(node: Node) -> bool:
    seen: set[int] = set()
    for upper in node.above():
        if upper is node or id(upper) in seen:
            return upper is node
        seen.add(id(upper))
    return False


def _role(row: Row) -> str:
    attributes = row["SpanAttributes"]
    role = str(attributes.get("fanlight.role") or "")
    role = role or FOREIGN_ROLES.get(attributes.get("openinference.span.kind", ""), "other")
    has_usage = any(attributes.get(name) for name in TOKENS["input_tokens"])
    return "engine" if row["SpanKind"] == "Server" and (role == "call" or has_usage) else role


def _mark_calls(nodes: list[Node]) -> None:
    for node in nodes:
        if node.role != "call":
            continue
        elsewhere, observed = node.from_elsewhere, False
        nearest: Node | None = None
        border_before_nearest = False
        for upper in node.above():
            elsewhere = elsewhere or upper.row["SpanKind"] == "Server"
            if upper.role == "call":
                if nearest is None:
                    nearest, border_before_nearest = upper, elsewhere
                sent = upper.wire and int(upper.attribute("fanlight.requests") or 0) > 0
                observed = observed or (sent and not elsewhere)
            elsewhere = elsewhere or upper.from_elsewhere
        if observed and not node.wire:
            node.hidden = True
        elif nearest is not None and (border_before_nearest or not observed):
            nearest.passes_on = nearest.passes_on or border_before_nearest
            nearest.wraps = nearest.wraps or not border_before_nearest


def _first_named_action(nodes: list[Node]) -> dict[str, str]:
    first: dict[str, str] = {}
    for node in sorted(nodes, key=lambda node: node.order):
        if named := _named_action(node):
            first.setdefault(node.row["TraceId"], named)
    return first


def _named_action(node: Node) -> str:
    """The action that a span names; a root that names none but links into one other trace is in its."""
    linked = {trace for trace in node.row["Links.TraceId"] if trace != node.row["TraceId"]}
    if node.row["ParentSpanId"] or len(linked) != 1:
        return node.attribute("fanlight.action.id")
    return node.attribute("fanlight.action.id") or linked.pop()


def _is_action(members: list[Node]) -> bool:
    declared = any(node.attribute("fanlight.action.source") == "declared" for node in members)
    return declared or any(node.role in ("agent", "tool", "call", "request") for node in members)


def _distance(node: Node) -> int:
    if node.role == "action":
        return 0
    return 1 if not node.row["ParentSpanId"] else 2


def _requests(members: list[Node]) -> tuple[dict[int, list[Node]], dict[Key, list[Node]]]:
    """The requests of each call by the identity of its node; and those without one by the missing span."""
    below: dict[int, list[Node]] = defaultdict(list)
    without: dict[Key, list[Node]] = defaultdict(list)
    for node in members:
        if node.role != "request":
            continue
        call = _call_above(node)
        if call is None:
            without[node.row["TraceId"], node.row["ParentSpanId"] or node.row["SpanId"]].append(node)
        else:
            below[id(call)].append(node)
    return below, without


def _call_above(node: Node) -> Node | None:
    return next((upper for upper in node.above() if upper.role == "call"), None)


def _of_requests(missing: Key, sent: list[Node]) -> Call:
    def rank(node: Node) -> tuple[bool, tuple[int, str, str]]:
        return node.attribute("fanlight.request.outcome") != "answered", node.order

    return Call(min(sent, key=rank), sent, missing[1], lost=True)


def _without_duplicates(told: list[Call]) -> list[Call]:
    """Of calls beside each other with one response id, from several libraries, the best told one."""
    groups: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
    for call in told:
        row = call.shown.row
        answer = call.shown.attribute("gen_ai.response.id") or row["SpanId"]
        groups[row["TraceId"], row["ParentSpanId"], answer].append(call)
    kept = []
    for group in groups.values():
        best = max(group, key=lambda call: (call.shown.wire, call.shown.row["ScopeName"]))
        best.alike = [call.shown for call in group if call is not best]
        kept.append(best)
    return kept

"""Tree, critical path and shape of cascades, by walks over dictionaries; shares no code with the SQL.

    spans = reference_shapes.placed_spans(rows)     # (trace id, span id) -> Placed, for all actions
    shapes = reference_shapes.shapes(rows)          # action id -> Shape

Rules: the header of schema/fanlight_schema/cascade_spans.sql.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import reference_counts
from reference_counts import Node

STEPS = ("agent", "tool")


@dataclass(frozen=True)
class Placed:
    """What is known of one span of an action."""

    action: str
    parent: tuple[str, str]  # in the tree of the action, ("", "") for none
    steps: int
    is_orphan: bool
    spent_on: str
    is_critical: bool
    self_ns: int
    critical_ns: int


@dataclass(frozen=True)
class Shape:
    """What `shapes` must say of one action."""

    spans: int
    width: int
    critical_spans: int
    duration_ns: int
    model_ns: int
    tool_ns: int
    waiting_ns: int
    by_hop: tuple[tuple[int, ...], ...]  # hop, parents, agents, tools, calls, requests


class _Tree:
    """The spans of one action below its root, each cut to all that stand above it."""

    def __init__(self, members: list[Node]) -> None:
        self.members = sorted(members, key=lambda node: node.order)
        root, arrived = reference_counts.root_of(members)
        self.root = root if arrived else None
        first, last = min(node.start for node in members), max(node.end for node in members)
        self.start = self.root.start if self.root else first
        self.end = last
        if self.root:
            self.end = self.root.end if self.root.end > self.root.start else self.start + last - first
        inside = {id(node) for node in members}
        self.parents: dict[int, Node | None] = {}
        for node in self.members:
            own = node.parent if node.parent is not None and id(node.parent) in inside else None
            self.parents[id(node)] = None if node is self.root else own or self.root
        self.children: dict[int, list[Node]] = defaultdict(list)
        for node in self.members:
            self.children[id(self.parents[id(node)])].append(node)
        self.inside = inside

    def own(self, node: Node | None) -> tuple[int, int]:
        if node is None or node is self.root:
            return self.start, self.end
        return node.start, node.end

    def is_aside(self, node: Node) -> bool:
        attached = self.root is not None and node is not self.root
        attached = attached and (node.parent is None or id(node.parent) not in self.inside)
        return attached and node.start <= self.start and node.end >= self.end

    def clips(self) -> dict[int, tuple[int, int]]:
        found = {id(None): (self.start, self.end)}
        waiting = list(self.children[id(None)])
        while waiting:
            node = waiting.pop()
            start, end = self.own(node)
            above = found[id(self.parents[id(node)])]
            cut = max(start, above[0]), min(end, above[1])
            found[id(node)] = (0, 0) if self.is_aside(node) else cut
            waiting += self.children[id(node)]
        return found

    def self_ns(self, node: Node) -> int:
        start, end = self.own(node)
        total, reached = end - start, start
        for child in sorted(self.children[id(node)], key=lambda child: max(self.own(child)[0], start)):
            begins, ends = max(self.own(child)[0], start, reached), min(self.own(child)[1], end)
            if ends > begins and not self.is_aside(child):
                total -= ends - begins
                reached = ends
        return total

    def critical_path(self) -> dict[int, int]:
        """Nanoseconds of the path that each span on it spends itself; id(None): no span does."""
        clips = self.clips()
        ended = {}
        for (
            key,
            children,
        ) in self.children.items():  # of those that end and begin together the first in turn is last
            timed = [child for child in reversed(children) if clips[id(child)][0] < clips[id(child)][1]]
            ended[key] = sorted(timed, key=lambda child: (clips[id(child)][1], -clips[id(child)][0]))
        found: dict[int, int] = defaultdict(int)
        path: list[tuple[Node | None, int]] = [(None, self.end)]
        while path:
            node, now = path.pop()
            waiting = ended.get(id(node), [])
            while waiting and clips[id(waiting[-1])][1] > now:
                waiting.pop()
            if waiting:
                child = waiting.pop()
                found[id(node)] += now - clips[id(child)][1]
                path += [(node, clips[id(child)][0]), (child, clips[id(child)][1])]
            else:
                found[id(node)] += now - clips[id(node)][0]
        return found

    def spent_on(self, node: Node) -> str:
        below = {child.role for child in self.children[id(node)]}
        if node.role in ("request", "engine"):
            return "model"
        if node.role == "call" and "request" in below:
            return "waiting"
        if node.role == "call" and "call" in below and not _is_observed(node):
            return "agent"
        part = next((one.role for one in (node, *node.above()) if one.role != "other"), "")
        names = {"call": "model", "request": "model", "engine": "model", "tool": "tool"}
        return names.get(part, "agent")


def _is_observed(node: Node) -> bool:
    return node.wire and int(node.attribute("fanlight.requests") or 0) > 0


def placed_spans(rows: Iterable[dict[str, Any]]) -> dict[tuple[str, str], Placed]:
    """Every span of every action."""
    found = {}
    for action, members in reference_counts.actions(rows).items():
        tree = _Tree(members)
        critical = tree.critical_path()
        for node in members:
            found[_key(node)] = Placed(
                action=action,
                parent=_key(tree.parents[id(node)]),
                steps=reference_counts.steps(node),
                is_orphan=bool(node.row["ParentSpanId"]) and node.parent is None,
                spent_on=tree.spent_on(node),
                is_critical=id(node) in critical,
                self_ns=tree.self_ns(node),
                critical_ns=critical.get(id(node), 0),
            )
    return found


def shapes(rows: Iterable[dict[str, Any]]) -> dict[str, Shape]:
    """Every action that the rows hold."""
    rows = list(rows)
    placed = placed_spans(rows)
    found = {}
    for action, members in reference_counts.actions(rows).items():
        calls = reference_counts.calls(members)
        spans = [placed[_key(node)] for node in members]
        tree = _Tree(members)
        spent: dict[str, int] = defaultdict(int)
        for span in spans:
            spent[span.spent_on] += span.critical_ns
        found[action] = Shape(
            spans=len(spans),
            width=_width([(call.start, call.end) for call in calls]),
            critical_spans=sum(span.is_critical for span in spans),
            duration_ns=tree.end - tree.start,
            model_ns=spent["model"],
            tool_ns=spent["tool"],
            waiting_ns=spent["waiting"],
            by_hop=_by_hop(members, [(reference_counts.steps(call.shown), call.requests) for call in calls]),
        )
    return found


def _key(node: Node | None) -> tuple[str, str]:
    return ("", "") if node is None else (node.row["TraceId"], node.row["SpanId"])


def _width(calls: list[tuple[int, int]]) -> int:
    """Most intervals that share a moment; one without length lasts 1 ns."""
    running: list[int] = []  # heap of ends
    widest = 0
    for start, end in sorted(calls):
        while running and running[0] <= start:
            heapq.heappop(running)
        heapq.heappush(running, max(end, start + 1))
        widest = max(widest, len(running))
    return widest


def _by_hop(members: list[Node], calls: list[tuple[int, int]]) -> tuple[tuple[int, ...], ...]:
    table: dict[int, list[int]] = defaultdict(lambda: [0] * 5)
    table[0][0] = 1
    for node in members:
        if node.role in STEPS:
            steps = reference_counts.steps(node)
            table[steps][0] += 1
            table[steps - 1][1 + STEPS.index(node.role)] += 1
    for hop, requests in calls:
        table[hop][3] += 1
        table[hop][4] += requests
    return tuple((hop, *table[hop]) for hop in sorted(table))

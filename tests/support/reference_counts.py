"""Counts cascades from rows of otel_traces by plain walks over dictionaries; shares no code with the SQL.

    counted = reference_counts.count_actions(rows)      # action id -> Counted

Rules: DESIGN.md "What is counted once". Rows may repeat and come in any order and state.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Key = tuple[str, str]

HOUR_NS = 3_600 * 10**9
FOREIGN_ROLES = {"LLM": "call", "AGENT": "agent", "TOOL": "tool"}


@dataclass(frozen=True)
class Counted:
    """What `actions` must say of one action."""

    model_calls: int
    requests: int
    observed: int
    tool_calls: int
    agent_steps: int
    depth: int
    errors: int
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    user_id: str
    action_name: str
    action_source: str
    started_ns: int
    duration_ns: int
    spans: int


@dataclass
class _Node:
    row: Row
    role: str
    parent: "_Node | None" = None
    hidden: bool = False  # only describes a call that was observed
    wraps: bool = False  # has a call below it that counts instead

    def attribute(self, name: str) -> str:
        return str(self.row["SpanAttributes"].get(name, ""))

    @property
    def start(self) -> int:
        return int(self.row["Timestamp"])

    @property
    def end(self) -> int:
        return self.start + int(self.row["Duration"])

    def above(self) -> "Iterable[_Node]":
        node = self.parent
        while node is not None:
            yield node
            node = node.parent


def count_actions(rows: Iterable[Row]) -> dict[str, Counted]:
    """Every action that the rows hold."""
    return {action: _count(members) for action, members in _members(rows).items() if _is_action(members)}


def _members(rows: Iterable[Row]) -> dict[str, list[_Node]]:
    """The spans of each action."""
    nodes = _linked(_distinct(rows))
    _mark_calls(nodes)
    by_action: dict[str, list[_Node]] = defaultdict(list)
    first_named = _first_named_action(nodes)
    for node in nodes:
        trace_id = node.row["TraceId"]
        named = [n.attribute("fanlight.action.id") for n in [node, *node.above()]]
        own = next((value for value in named if value), "")
        by_action[own or first_named.get(trace_id, trace_id)].append(node)
    return by_action


def demand_by_hour(rows: Iterable[Row]) -> dict[int, tuple[int, int]]:
    """Calls and requests by hour, in seconds since 1970; a call stands in the hour of its last request."""
    found: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for members in _members(rows).values():
        if not _is_action(members):
            continue
        below = _requests_below(members)
        calls = [node for node in members if node.role == "call" and not node.hidden and not node.wraps]
        sent = [(_requests(call), below.get(id(call)) or [call]) for call in calls]
        sent += [(len(requests), requests) for requests in _calls_known_by_requests(members)]
        for count, nodes in sent:
            hours = [_hour(node) for node in nodes]
            earlier = [hour for hour in hours if hour != max(hours)] if count else []
            for hour in earlier:
                found[hour][1] += 1
            found[max(hours)][0] += 1
            found[max(hours)][1] += count - len(earlier)
    return {hour: (calls, requests) for hour, (calls, requests) in found.items()}


def calls_by_hop(rows: Iterable[Row]) -> dict[tuple[str, int], int]:
    """Calls by action and number of steps above them."""
    found: dict[tuple[str, int], int] = defaultdict(int)
    for action, members in _members(rows).items():
        calls = [node for node in members if node.role == "call" and not node.hidden and not node.wraps]
        for node in [*calls, *(requests[0] for requests in _calls_known_by_requests(members))]:
            found[action, _steps(node)] += 1
    return found


def _requests_below(members: list[_Node]) -> dict[int, list[_Node]]:
    """The requests of each call, by the identity of its node."""
    below: dict[int, list[_Node]] = defaultdict(list)
    for node in members:
        call = next((upper for upper in node.above() if upper.role == "call"), None)
        if node.role == "request" and call is not None:
            below[id(call)].append(node)
    return below


def _hour(node: _Node) -> int:
    return node.start // HOUR_NS * 3_600


def _distinct(rows: Iterable[Row]) -> list[Row]:
    best: dict[Key, Row] = {}
    for row in rows:
        key = (row["TraceId"], row["SpanId"])
        if key not in best or _rank(row) > _rank(best[key]):
            best[key] = row
    return list(best.values())


def _rank(row: Row) -> tuple[bool, int]:
    return row["Duration"] > 0, len(row["SpanAttributes"])


def _linked(rows: list[Row]) -> list[_Node]:
    nodes = {(row["TraceId"], row["SpanId"]): _Node(row, _role(row)) for row in rows}
    for (trace_id, _), node in nodes.items():
        node.parent = nodes.get((trace_id, node.row["ParentSpanId"]))
    return list(nodes.values())


def _role(row: Row) -> str:
    attributes = row["SpanAttributes"]
    if attributes.get("fanlight.role"):
        return str(attributes["fanlight.role"])
    return FOREIGN_ROLES.get(attributes.get("openinference.span.kind", ""), "other")


def _observed(node: _Node) -> bool:
    return node.attribute("fanlight.wire") == "true" and int(node.attribute("fanlight.requests") or 0) > 0


def _mark_calls(nodes: list[_Node]) -> None:
    for node in nodes:
        if node.role != "call":
            continue
        through_server, observed = False, False
        nearest: _Node | None = None
        server_before_nearest = False
        for upper in node.above():
            if upper.row["SpanKind"] == "Server":
                through_server = True
                server_before_nearest = server_before_nearest or nearest is None
            if upper.role == "call":
                nearest = nearest or upper
                observed = observed or (_observed(upper) and not through_server)
        if observed and node.attribute("fanlight.wire") != "true":
            node.hidden = True
        elif nearest is not None and (server_before_nearest or not observed):
            nearest.wraps = True


def _first_named_action(nodes: list[_Node]) -> dict[str, str]:
    first: dict[str, tuple[int, str, str]] = {}
    for node in nodes:
        named = node.attribute("fanlight.action.id")
        entry = (node.start, node.row["SpanId"], named)
        trace_id = node.row["TraceId"]
        if named and (trace_id not in first or entry < first[trace_id]):
            first[trace_id] = entry
    return {trace_id: entry[2] for trace_id, entry in first.items()}


def _is_action(members: list[_Node]) -> bool:
    declared = any(node.attribute("fanlight.action.source") == "declared" for node in members)
    return declared or any(node.role in ("agent", "tool", "call", "request") for node in members)


def _steps(node: _Node) -> int:
    if node.attribute("fanlight.hop"):
        return int(node.attribute("fanlight.hop")) + (node.role in ("agent", "tool"))
    above = _steps(node.parent) if node.parent else 0
    return above + (node.role in ("agent", "tool"))


def _count(members: list[_Node]) -> Counted:
    calls = [node for node in members if node.role == "call" and not node.hidden and not node.wraps]
    lost = _calls_known_by_requests(members)
    observed = sum(_requests(node) for node in calls if node.attribute("fanlight.wire") == "true")
    from_lost = sum(len(requests) for requests in lost)
    root = min(
        members, key=lambda node: (_distance(node), node.start, node.row["TraceId"], node.row["SpanId"])
    )
    has_root = _distance(root) < 2
    start, end = min(node.start for node in members), max(node.end for node in members)
    told = [*calls, *(_teller(requests) for requests in lost)]
    return Counted(
        model_calls=len(told),
        requests=sum(_requests(node) for node in calls) + from_lost,
        observed=observed + from_lost,
        tool_calls=sum(node.role == "tool" for node in members),
        agent_steps=sum(node.role == "agent" for node in members),
        depth=max(_steps(node) for node in members),
        errors=sum(node.row["StatusCode"] == "Error" for node in told),
        input_tokens=_sum(told, "gen_ai.usage.input_tokens", "llm.token_count.prompt"),
        cached_tokens=_sum(told, "gen_ai.usage.cache_read.input_tokens"),
        output_tokens=_sum(told, "gen_ai.usage.output_tokens", "llm.token_count.completion"),
        user_id=_first(members, root, "user.id"),
        action_name=_first(members, root, "fanlight.action.name"),
        action_source=_first(members, root, "fanlight.action.source") or "inferred",
        started_ns=root.start if has_root else start,
        duration_ns=root.end - root.start if has_root and root.end > root.start else end - start,
        spans=len(members),
    )


def _calls_known_by_requests(members: list[_Node]) -> list[list[_Node]]:
    """Requests without a call above them, by the parent that has not arrived."""
    groups: dict[Key, list[_Node]] = defaultdict(list)
    for node in members:
        if node.role == "request" and not any(upper.role == "call" for upper in node.above()):
            groups[node.row["TraceId"], node.row["ParentSpanId"] or node.row["SpanId"]].append(node)
    return list(groups.values())


def _teller(requests: list[_Node]) -> _Node:
    return min(
        requests,
        key=lambda node: (
            node.attribute("fanlight.request.outcome") != "answered",
            node.start,
            node.row["SpanId"],
        ),
    )


def _requests(call: _Node) -> int:
    if call.attribute("fanlight.requests"):
        return int(call.attribute("fanlight.requests"))
    return 0 if call.attribute("fanlight.wire") == "true" else 1


def _distance(node: _Node) -> int:
    if node.role == "action":
        return 0
    return 1 if not node.row["ParentSpanId"] else 2


def _sum(calls: list[_Node], *names: str) -> int | None:
    found = [next((node.attribute(n) for n in names if node.attribute(n)), "") for node in calls]
    known = [int(value) for value in found if value]
    return sum(known) if known else None


def _first(members: list[_Node], root: _Node, name: str) -> str:
    if root.attribute(name):
        return root.attribute(name)
    having = [node for node in members if node.attribute(name)]
    earliest = min(having, key=lambda n: (n.start, n.row["TraceId"], n.row["SpanId"]), default=None)
    return earliest.attribute(name) if earliest else ""

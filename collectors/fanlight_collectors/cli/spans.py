"""A cascade as a tree of steps, calls and requests, and as the lines of a terminal.

tree = build_tree(spans)
for line in tree_lines(tree, limit=200): ...
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from fanlight_collectors.cli.figures import count, duration


@dataclass(slots=True)
class Node:
    """One span and those below it, in order of their start."""

    span_id: str
    parent_id: str
    role: str  # action, agent, tool, call, request; other words are of plain spans
    name: str
    start_ns: int
    duration_ns: int
    error: str = ""
    requests: int | None = None
    resend: int | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    estimated: bool = False  # tokens
    critical: bool = False  # on the critical path
    children: list["Node"] = field(default_factory=list)

    def size(self) -> int:
        """Spans in this node and below."""
        total, waiting = 0, [self]
        while waiting:
            node = waiting.pop()
            total += 1
            waiting += node.children
        return total


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the tree: the branch drawn before it, what stands on it, and whether it shows an error."""

    branch: str
    title: str
    facts: str
    role: str  # hidden: stands for spans that are not shown
    error: str = ""
    note: str = ""  # what deserves a look
    critical: bool = False  # on the critical path


def build_tree(nodes: Sequence[Node]) -> list[Node]:
    """The roots, with every node below its parent; a node whose parent is not there is a root."""
    known = {node.span_id: node for node in nodes}
    roots: list[Node] = []
    for node in sorted(nodes, key=lambda node: node.start_ns):
        parent = known.get(node.parent_id)
        (roots if parent is None or parent is node else parent.children).append(node)
    return roots


def tree_lines(roots: Sequence[Node], limit: int | None) -> Iterator[Line]:
    """The tree from the top, cut down to `limit` spans (None: all); what is hidden is counted there."""
    shown = _chosen(roots, limit)
    stack: list[tuple[Node | str, str, str]] = [
        (root, "", "") for root in reversed(roots) if id(root) in shown
    ]
    while stack:
        node, branch, below = stack.pop()
        if isinstance(node, str):
            yield Line(branch, node, "", "hidden")
            continue
        yield Line(branch, title(node), facts(node), node.role, node.error, note(node), node.critical)
        hidden = [child for child in node.children if id(child) not in shown]
        if len(hidden) == 1 and not hidden[0].children:
            shown.add(id(hidden.pop()))  # a line that says so would be no shorter
        visible = [child for child in node.children if id(child) in shown]
        items: list[Node | str] = [*visible, *([_summary(hidden)] if hidden else [])]
        for position, item in reversed(list(enumerate(items))):
            last = position == len(items) - 1
            stack.append((item, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  ")))


def title(node: Node) -> str:
    """What a node is, for example `agent worker`, or `try 2` for a request."""
    if node.role == "request":
        return f"try {(node.resend or 0) + 1}"
    return f"{node.role} {node.name}" if node.role in ("action", "agent", "tool") else node.name


def facts(node: Node) -> str:
    """Duration and tokens of a node."""
    parts = [duration(node.duration_ns / 1e9)]
    if node.input_tokens is not None or node.output_tokens is not None:
        cached = f" ({count(node.cached_tokens)} cached)" if node.cached_tokens else ""
        guess = " (estimated)" if node.estimated else ""
        parts.append(f"{count(node.input_tokens)} in{cached}, {count(node.output_tokens)} out{guess}")
    if node.requests == 0:
        parts.append("no request")
    return "  ".join(parts)


def note(node: Node) -> str:
    """That a call was sent more than once."""
    return f"{node.requests} requests" if node.requests is not None and node.requests > 1 else ""


def _chosen(roots: Sequence[Node], limit: int | None) -> set[int]:
    """The nodes to show: ways to the first errors, then level by level, as many of each parent."""
    room = sum(root.size() for root in roots) if limit is None else limit
    chosen = _ways_to_errors(roots, room // 2)
    level = list(roots)
    while level and len(chosen) < room:
        fresh = [node for node in level if id(node) not in chosen]
        chosen.update(id(node) for node in _fair_share(fresh, room - len(chosen)))
        level = [child for node in level if id(node) in chosen for child in node.children]
    return chosen


def _fair_share(level: Sequence[Node], room: int) -> list[Node]:
    rank: Counter[str] = Counter()
    ranked = []
    for position, node in enumerate(level):
        ranked.append((rank[node.parent_id], position, node))
        rank[node.parent_id] += 1
    return [node for _, _, node in sorted(ranked, key=lambda entry: entry[:2])[:room]]


def _ways_to_errors(roots: Sequence[Node], room: int) -> set[int]:
    """The nodes with errors and all above them, the first ones first, while there is room."""
    chosen: set[int] = set()
    waiting: list[tuple[Node, tuple[int, ...]]] = [(root, ()) for root in reversed(roots)]
    while waiting:
        node, above = waiting.pop()
        way = (*above, id(node))
        if node.error and len(chosen.union(way)) <= room:
            chosen.update(way)
        waiting += [(child, way) for child in reversed(node.children)]
    return chosen


def _summary(hidden: Sequence[Node]) -> str:
    kinds: Counter[str] = Counter()
    waiting = list(hidden)
    while waiting:
        node = waiting.pop()
        kinds[node.role] += 1
        waiting += node.children
    named = ", ".join(f"{number:,} {_plural(role, number)}" for role, number in kinds.most_common())
    return f"... {named}"


def _plural(role: str, number: int) -> str:
    word = role if role in ("action", "agent", "tool", "call", "request") else "other span"
    return word if number == 1 else f"{word}s"

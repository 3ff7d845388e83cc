"""The tree that `fanlight trace` draws, on spans made here."""

import re

from fanlight_collectors.cli.spans import Node, build_tree, tree_lines


def node(span: int, parent: int, role: str = "call", name: str = "", *, error: str = "") -> Node:
    return Node(
        span_id=f"{span:016X}",
        parent_id=f"{parent:016X}",
        role=role,
        name=name or f"n{span}",
        start_ns=span,
        duration_ns=1_000_000,
        error=error,
    )


def drawn(nodes: list[Node], limit: int | None = None) -> list[str]:
    return [f"{line.branch}{line.title}" for line in tree_lines(build_tree(nodes), limit)]


def test_children_stand_below_their_parent_in_order_of_their_start() -> None:
    nodes = [
        node(4, 1),
        node(3, 2, "tool", "search"),
        node(2, 1, "agent", "worker"),
        node(1, 0, "action", "ask"),
    ]
    assert drawn(nodes) == ["action ask", "├─ agent worker", "│  └─ tool search", "└─ n4"]


def test_a_span_whose_parent_has_not_arrived_is_shown_at_the_top() -> None:
    assert drawn([node(1, 0, "action", "ask"), node(5, 99)]) == ["action ask", "n5"]


def test_thousands_of_spans_are_bounded_and_what_is_hidden_is_counted() -> None:
    nodes = [node(1, 0, "action", "ask")]
    nodes += [node(worker, 1, "agent", "worker") for worker in range(10, 60)]
    nodes += [node(worker * 1000 + i, worker, name="chat m") for worker in range(10, 60) for i in range(100)]
    lines = list(tree_lines(build_tree(nodes), 40))
    shown = [line for line in lines if line.role != "hidden"]
    assert len(shown) == 40
    assert len(lines) < 100
    counts = (re.findall(r"\d[\d,]*(?= )", line.title) for line in lines if line.role == "hidden")
    hidden = sum(int(number.replace(",", "")) for numbers in counts for number in numbers)
    assert len(shown) + hidden == len(nodes)


def test_the_way_to_an_error_is_shown_however_deep_it_is() -> None:
    nodes = [node(1, 0, "action", "ask"), *(node(i, 1) for i in range(100, 1000))]
    nodes += [node(5000 + depth, 5000 + depth - 1 if depth else 500, "agent") for depth in range(8)]
    nodes += [node(6000, 5007, "request", error="HTTP 429")]
    lines = list(tree_lines(build_tree(nodes), 30))
    assert any(line.error == "HTTP 429" for line in lines)


def test_a_chain_of_ten_thousand_spans_needs_no_deep_stack() -> None:
    nodes = [node(i, i - 1, "agent") for i in range(1, 10_001)]
    assert len(drawn(nodes)) == 10_000

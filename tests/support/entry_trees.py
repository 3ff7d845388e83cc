"""What became of automatic entries: each root with what it says of its action, and all that lies below."""

from __future__ import annotations

from dataclasses import dataclass

from fanlight.testing import Captured, Tree
from fanlight_schema import attributes as names
from otlp_receiver import OtlpReceiver
from process_trees import ended
from serving import eventually


@dataclass(frozen=True)
class Told:
    """An action as its root tells it, and the shape of what is below."""

    name: str
    user: str | None = None
    session: str | None = None
    source: str = "automatic"
    origin: str = "user"
    error: str | None = None
    below: tuple[object, ...] = ("chat m",)


def told(captured: Captured, roots: int = 1) -> list[Told]:
    """Every recorded tree, once `roots` of them have ended; all spans of a tree are of one action."""
    eventually(lambda: sum(span.role == "action" for span in captured.spans) >= roots)
    return told_of(captured)


def told_of(captured: Captured) -> list[Told]:
    """Every recorded tree as it is now."""
    return [_told(tree) for tree in captured.trees()]


def received(collector: OtlpReceiver) -> Captured:
    """What several processes exported, as if one had recorded it."""
    captured = Captured()
    captured.spans.extend(ended(span) for span in collector.spans)
    return captured


def _told(tree: Tree) -> Told:
    attributes = tree.span.attributes
    assert {span.attributes[names.ACTION_ID] for span in _spans_of(tree)} == {attributes[names.ACTION_ID]}

    def text(key: str) -> str | None:
        value = attributes.get(key)
        return None if value is None else str(value)

    return Told(
        tree.name,
        user=text(names.USER_ID),
        session=text(names.SESSION_ID),
        source=str(attributes[names.ACTION_SOURCE]),
        origin=str(attributes[names.ACTION_ORIGIN]),
        error=text(names.ERROR_TYPE),
        below=tuple(child.shape() for child in tree.children),
    )


def _spans_of(tree: Tree) -> list[object]:
    return [tree.span, *(span for child in tree.children for span in _spans_of(child))]

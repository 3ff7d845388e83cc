"""See what fanlight recorded, in tests of an app or of fanlight.

with fanlight.testing.capture() as spans:
    run_my_agent()
assert [tree.name for tree in spans.trees()] == ["answer_question"]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.util.types import AttributeValue

from fanlight import _finalisers
from fanlight._runtime import runtime
from fanlight._spans import LiveSpan


@dataclass(frozen=True, slots=True)
class EndedSpan:
    """A span as it was when it ended; ids are lower-case hex, times are ns since 1970."""

    name: str
    kind: SpanKind
    trace_id: str
    span_id: str
    parent_span_id: str | None
    start_time_ns: int
    end_time_ns: int
    status: StatusCode
    attributes: Mapping[str, AttributeValue]

    @property
    def role(self) -> AttributeValue | None:
        return self.attributes.get("fanlight.role")


@dataclass(frozen=True, slots=True)
class Tree:
    """A span and the spans below it, by start time."""

    span: EndedSpan
    children: tuple[Tree, ...] = ()

    @property
    def name(self) -> str:
        return self.span.name

    def shape(self) -> object:
        """The names alone: `"leaf"`, or `("name", [shapes of the children])`."""
        return (self.name, [child.shape() for child in self.children]) if self.children else self.name


def _freeze(span: LiveSpan) -> EndedSpan:
    return EndedSpan(
        name=span.name,
        kind=span.kind,
        trace_id=trace.format_trace_id(span.trace_id),
        span_id=trace.format_span_id(span.span_id),
        parent_span_id=trace.format_span_id(span.parent_id) if span.parent_id else None,
        start_time_ns=span.start_time_ns,
        end_time_ns=span.end_time_ns or span.start_time_ns,
        status=span.status,
        attributes=span.attributes,
    )


class Captured:
    """What was recorded so far, in the order in which it ended."""

    def __init__(self) -> None:
        self._spans: list[EndedSpan] = []
        self._known: set[tuple[str, str]] = set()

    @property
    def spans(self) -> list[EndedSpan]:
        _finalisers.catch_up()
        return self._spans

    def named(self, name: str) -> EndedSpan:
        """The one span with this name; AssertionError if there is none or more than one."""
        found = [span for span in self.spans if span.name == name]
        assert len(found) == 1, f"{len(found)} spans are named {name!r} among {[s.name for s in self.spans]}"
        return found[0]

    def with_role(self, role: str) -> list[EndedSpan]:
        return [span for span in self.spans if span.role == role]

    def trees(self) -> list[Tree]:
        """The spans as trees; a span whose parent was not recorded here is a root."""
        known = {span.span_id for span in self.spans}
        below: dict[str | None, list[EndedSpan]] = {}
        for span in sorted(self.spans, key=lambda span: span.start_time_ns):
            below.setdefault(span.parent_span_id if span.parent_span_id in known else None, []).append(span)

        def tree(span: EndedSpan) -> Tree:
            return Tree(span, tuple(tree(child) for child in below.get(span.span_id, ())))

        return [tree(span) for span in below.get(None, ())]

    # The Sink protocol.

    spools = False

    def announce(self, span: LiveSpan, told: bytes) -> None:
        """Nothing outlives a test."""

    def forget(self, span: LiveSpan) -> None:
        """Nothing was announced."""

    def accept(self, span: LiveSpan) -> None:
        """A span that says more than it did is kept in its fuller state, as a store keeps it."""
        ended = _freeze(span)
        identity = ended.trace_id, ended.span_id
        if identity in self._known:
            for number, known in enumerate(self._spans):
                fuller = known.attributes.items() < ended.attributes.items()
                if fuller and (known.trace_id, known.span_id) == identity:
                    self._spans[number] = ended
                    return
        self._known.add(identity)
        self._spans.append(ended)

    def accept_encoded(self, data: bytes) -> None:
        """Spans of the app's own are not captured."""

    def flush(self, timeout_s: float) -> bool:
        return True

    def shutdown(self, timeout_s: float, *, ending: bool = False) -> bool:
        return True

    def before_fork(self) -> None:
        """Nothing is under way."""

    def after_fork_in_parent(self) -> None:
        """Nothing to undo."""

    def after_fork(self) -> None:
        self._spans.clear()


@contextmanager
def capture() -> Iterator[Captured]:
    """Record fanlight's spans here instead of exporting them, switching the tracer on if it is off."""
    captured = Captured()
    before = runtime.on, runtime.sink
    runtime.on, runtime.sink = True, captured
    _finalisers.watch()
    try:
        yield captured
    finally:
        runtime.on, runtime.sink = before
        if not runtime.on:
            _finalisers.unwatch()

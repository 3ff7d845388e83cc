"""Cascades of every kind out of a seed, and the ways in which their spans reach a store.

rows = random_cascades.rows(random.Random(7), cascades=10)
for batch in random_cascades.deliveries(random.Random(7), rows): ...
"""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import otlp_json

Row = dict[str, Any]
START_NS = 1_795_400_000 * 10**9
HOUR_NS = 3_600 * 10**9
MODELS = ("gpt-4o-mini", "qwen3-8b", "claude-sonnet")


class _Cascade:
    """One action: declared inside or at the start of a trace, over two traces, or of a foreign tracer.

    Where it is named late, only its root span says which action it is, and that one arrives last of all.
    """

    def __init__(self, rng: random.Random, kind: str, users: int) -> None:
        self.rng = rng
        self.kind = kind
        self.trace_id = f"{rng.getrandbits(128) or 1:032x}"
        starts_trace = kind in ("declared", "foreign")
        self.action_id = self.trace_id if starts_trace else f"{rng.getrandbits(128) or 1:032x}"
        self.user = f"u-{rng.randrange(users)}"
        self.now = START_NS + rng.randrange(2 * HOUR_NS)
        self.rows: list[Row] = []

    def span(self, parent: str, role: str, own: dict[str, str], kind: str = "Internal") -> str:
        """Adds a span and returns its id; fanlight's own carry the action, unless something dropped it."""
        span_id = f"{self.rng.getrandbits(64) or 1:016x}"
        self.now += self.rng.randrange(1, 10**9)
        attributes = dict(own)
        fanlight = self.kind != "foreign" and role != "foreign"
        if fanlight:
            attributes |= {"fanlight.role": role, "fanlight.action.source": "declared"}
            named = self.rng.random() < 0.8 and self.kind != "named late"
            if named or role == "action":
                attributes |= {"fanlight.action.id": self.action_id, "fanlight.action.name": "ask"}
        if self.rng.random() < 0.3:
            attributes["user.id"] = self.user
        self.rows.append(
            otlp_json.row(
                trace_id=self.trace_id,
                span_id=span_id,
                parent_id=parent,
                start_ns=self.now,
                end_ns=self.now + self.rng.randrange(1, 10**10),
                kind=kind,
                scope="fanlight" if fanlight else "openinference.test",
                attributes=attributes,
                status="Error" if role == "call" and self.rng.random() < 0.1 else "Unset",
            )
        )
        return span_id

    def call(self, parent: str) -> None:
        if self.kind == "foreign":
            outer = self._foreign_call(parent)
            if self.rng.random() < 0.3:
                self._foreign_call(outer)
            return
        requests = self.rng.choice((0, 1, 1, 1, 2, 3))
        tokens = self._tokens("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
        if tokens and self.rng.random() < 0.5:
            tokens["gen_ai.usage.cache_read.input_tokens"] = str(self.rng.randrange(50))
        wire = {"fanlight.wire": "true", "fanlight.requests": str(requests)}
        model = {"gen_ai.operation.name": "chat", "gen_ai.request.model": self.rng.choice(MODELS)}
        span_id = self.span(parent, "call", wire | model | tokens, "Client")
        if self.rng.random() < 0.1:
            self.rows.pop()  # the call's own span is lost; its requests stand for it
        if requests > 1:
            for resend in range(requests):
                if self.rng.random() < 0.15:
                    self.now += HOUR_NS // 2  # a long back-off: the requests of one call lie in two hours
                answered = resend == requests - 1
                own = {
                    "http.request.resend_count": str(resend),
                    "fanlight.request.outcome": "answered" if answered else "refused",
                }
                self.span(span_id, "request", own | model | (tokens if answered else {}), "Client")
        elif requests == 1 and self.rng.random() < 0.2:
            self.span(span_id, "foreign", {"openinference.span.kind": "LLM", "llm.token_count.prompt": "7"})

    def _foreign_call(self, parent: str) -> str:
        tokens = self._tokens("llm.token_count.prompt", "llm.token_count.completion")
        model = {"llm.model_name": self.rng.choice(MODELS)}
        return self.span(parent, "call", {"openinference.span.kind": "LLM"} | model | tokens)

    def _tokens(self, *names: str) -> dict[str, str]:
        if self.rng.random() < 0.2:
            return {}
        return {name: str(self.rng.randrange(50, 5_000)) for name in names}

    def step(self, parent: str) -> str:
        role = self.rng.choice(("agent", "tool"))
        own = {"openinference.span.kind": role.upper()} if self.kind == "foreign" else {}
        return self.span(parent, role, own)

    def build(self) -> list[Row]:
        root = "" if self.kind in ("declared", "foreign") else self._entry()
        if self.kind == "foreign":
            top = self.span(root, "other", {})
        else:
            top = self.span(root, "action", {"user.id": self.user})
        parents = [top]
        for _ in range(self.rng.randrange(1, 12)):
            parent = self.rng.choice(parents[-4:])
            if self.rng.random() < 0.4:
                parents.append(self.step(parent))
            else:
                self.call(parent)
        if self.kind == "two traces":
            self.trace_id = f"{self.rng.getrandbits(128) or 1:032x}"
            self.now += self.rng.randrange(-HOUR_NS, HOUR_NS)  # another host, whose clock is off
            far = self.span(self._entry(), "agent", {})
            self.rows[-1]["SpanAttributes"]["fanlight.action.id"] = self.action_id
            self.call(far)
        return self.rows

    def _entry(self) -> str:
        """A web server's own span, of no tracer that knows of actions."""
        return self.span("", "foreign", {"http.route": "/ask"}, "Server")


def rows(rng: random.Random, cascades: int, users: int = 3) -> list[Row]:
    """The spans of some cascades, each once and complete."""
    kinds = ("declared", "inside", "two traces", "foreign", "named late")
    return [row for _ in range(cascades) for row in _Cascade(rng, rng.choice(kinds), users).build()]


def deliveries(rng: random.Random, complete: list[Row]) -> Iterator[list[Row]]:
    """Batches in any order; some spans also as started, or as a route that drops attributes has them."""
    sent = list(complete)
    for row in complete:
        if rng.random() < 0.2:
            sent.append(row | {"Duration": 0, "SpanAttributes": _some(rng, row["SpanAttributes"])})
        if rng.random() < 0.2 and row["SpanAttributes"]:
            fewer = _some(rng, row["SpanAttributes"])
            sent.append(row | {"SpanAttributes": dict(list(fewer.items())[: len(row["SpanAttributes"]) - 1])})
    rng.shuffle(sent)
    size = rng.randrange(20, 80)
    batches = [sent[at : at + size] for at in range(0, len(sent), size)]
    resent = [batch for batch in batches for _ in range(rng.randrange(1, 4))]
    rng.shuffle(resent)
    yield from _named_late(resent)


def _named_late(batches: list[list[Row]]) -> Iterator[list[Row]]:
    """The same rows, with the only ones of their traces that name an action at the very end."""
    named: dict[str, set[str]] = {}
    for row in itertools.chain.from_iterable(batches):
        if row["SpanAttributes"].get("fanlight.action.id"):
            named.setdefault(row["TraceId"], set()).add(row["SpanId"])
    last = {(trace_id, *spans) for trace_id, spans in named.items() if len(spans) == 1}
    for batch in batches:
        if early := [row for row in batch if (row["TraceId"], row["SpanId"]) not in last]:
            yield early
    if late := [row for batch in batches for row in batch if (row["TraceId"], row["SpanId"]) in last]:
        yield late


def _some(rng: random.Random, attributes: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if rng.random() < 0.5}

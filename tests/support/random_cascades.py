"""Cascades of every kind out of a seed, and the ways in which their spans reach a store.

    rows = random_cascades.rows(random.Random(7), cascades=10)
    for batch in random_cascades.deliveries(random.Random(7), rows): ...

test_random_cascades counts what comes out of it.
"""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import otlp_json

Row = dict[str, Any]
START_NS = 1_795_400_000 * 10**9
HOUR_NS = 3_600 * 10**9
MODELS = ("gpt-4o-mini", "qwen3-8b", "claude-sonnet", "nobody-knows-it")
HOSTS = ("", "gpu.example", "api.openai.com")
RESOURCES = (
    {},
    {"cloud.region": "eu-west-1"},
    {"cloud.region": "eu-west-1", "deployment.environment.name": "production"},
    {"deployment.environment": "staging"},
    {"deployment.environment.name": "production", "deployment.environment": "staging"},
)
KINDS = ("declared", "inside", "two traces", "foreign", "named late", "linked", "linked to two")
ANSWERED = {"fanlight.request.outcome": "answered", "http.response.status_code": "200"}
REFUSED = {"fanlight.request.outcome": "refused", "http.response.status_code": "429"}
HIT = ANSWERED | {"fanlight.gateway.cache_hit": "true"}
UNKNOWN: tuple[dict[str, str], ...] = (
    {"fanlight.request.outcome": "unknown", "http.response.status_code": "500"},
    {"fanlight.request.outcome": "unknown", "http.response.status_code": "504"},
    {"fanlight.request.outcome": "unknown", "http.response.status_code": "200"},
    {"fanlight.request.outcome": "unknown"},
)
DIED = {"error.type": "process_died"}


class _Cascade:
    """One action: declared inside or at the start of a trace, over two traces, or of a foreign tracer.

    A linked one has a second trace whose root links into its first; if it links to two, nothing follows.

    Where it is named late, only its root span says which action it is, and that one arrives last of all.
    """

    def __init__(self, rng: random.Random, kind: str, users: int) -> None:
        self.rng = rng
        self.kind = kind
        self.trace_id = f"{rng.getrandbits(128) or 1:032x}"
        self.links = kind.startswith("linked")
        starts_trace = self.links or kind in ("declared", "foreign")
        self.action_id = self.trace_id if starts_trace else f"{rng.getrandbits(128) or 1:032x}"
        self.user = f"u-{rng.randrange(users)}"
        self.now = START_NS + rng.randrange(2 * HOUR_NS)
        self.service = rng.choice(("app", "shop"))
        self.resource = rng.choice(RESOURCES)
        self.rows: list[Row] = []

    def often(self, share: float) -> bool:
        return self.rng.random() < share

    def span(
        self, parent: str, role: str, own: dict[str, str], kind: str = "Internal", **changes: Any
    ) -> str:
        """Adds a span and returns its id; fanlight's own carry the action, unless something dropped it."""
        span_id = f"{self.rng.getrandbits(64) or 1:016x}"
        self.now += self.rng.randrange(1, 10**9)
        attributes = dict(own)
        fanlight = self.kind != "foreign" and role != "foreign"
        if fanlight:
            attributes |= {"fanlight.role": role, "fanlight.action.source": "declared"}
            named = self.often(0.8) and self.kind != "named late"
            if named or role == "action":
                attributes |= {"fanlight.action.id": self.action_id, "fanlight.action.name": "ask"}
        for name, value, share in (
            ("user.id", self.user, 0.3),
            ("user.id", "u-of-somebody-else", 0.02),
            ("session.id", f"s-{self.user}", 0.2),
            ("fanlight.dropped_spans", str(self.rng.randrange(1, 9)), 0.02),
        ):
            if self.often(share):
                attributes[name] = value
        failed = role in ("call", "agent", "tool") and self.often(0.1)
        row = otlp_json.row(
            trace_id=self.trace_id,
            span_id=span_id,
            parent_id=parent,
            start_ns=self.now,
            end_ns=self.now + self.rng.randrange(1, 10**10),
            name=f"{role} of {self.service}",
            kind=kind,
            service=self.service,
            scope="fanlight" if fanlight else "openinference.test",
            attributes=attributes,
            resource=self.resource,
            status="Error" if failed else "Unset",
        )
        self.rows.append(row | changes)
        return span_id

    def call(self, parent: str) -> None:
        if self.kind == "foreign":
            self._foreign_calls(parent)
            return
        requests = self.rng.choice((0, 1, 1, 1, 2, 3))
        tokens = self._tokens("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
        if tokens and self.often(0.5):
            tokens["gen_ai.usage.cache_read.input_tokens"] = str(self.rng.randrange(50))
            tokens["gen_ai.usage.reasoning.output_tokens"] = str(self.rng.randrange(50))
        model = self._model()
        if self.often(0.06):
            self.span(
                parent,
                "call",
                {"fanlight.wire": "true"} | DIED | model,
                "Client",
                Duration=0,
                StatusCode="Error",
            )
            return
        wire = {"fanlight.wire": "true", "fanlight.requests": str(requests)}
        told = self._ended() if requests == 1 else {}
        span_id = self.span(parent, "call", wire | model | tokens | told, "Client")
        if requests and self.often(0.1):
            self.rows.pop()  # the call's own span is lost; its requests stand for it
        if requests > 1:
            self._requests(span_id, model, tokens, requests)
        elif requests == 1:
            self._below(span_id)

    def _requests(self, call: str, model: dict[str, str], tokens: dict[str, str], requests: int) -> None:
        for resend in range(requests):
            if self.often(0.15):
                self.now += HOUR_NS // 2  # a long back-off: the requests of one call lie in two hours
            last = resend == requests - 1
            told = self._ended() if last else self.rng.choice((REFUSED, *UNKNOWN))
            own = {"http.request.resend_count": str(resend)} | told
            self.span(call, "request", own | model | (tokens if last else {}), "Client")
            if self.often(0.05):
                self.rows.pop()  # it is told by the call's count alone

    def _ended(self) -> dict[str, str]:
        kinds = (ANSWERED, REFUSED, HIT, self.rng.choice(UNKNOWN))
        return self.rng.choices(kinds, (12, 1, 1, 2))[0]

    def _below(self, call: str) -> None:
        """What other tracers tell of a request that was seen."""
        usage = {"gen_ai.usage.input_tokens": "7", "gen_ai.operation.name": "chat"}
        if self.often(0.15):
            self.span(call, "foreign", {"openinference.span.kind": "LLM", "llm.token_count.prompt": "7"})
        elif self.often(0.15):
            times = {"gen_ai.latency.time_in_queue": "0.5", "gen_ai.latency.time_in_model_decode": "2.5"}
            self.span(call, "foreign", usage | times, "Server")  # the engine's own
        elif self.often(0.15):
            gateway, arrives = self._gateway(call)
            for _ in range(self.rng.randrange(1, 3)):
                own = {"fanlight.wire": "true", "fanlight.requests": "1"} | self._model() | ANSWERED
                tokens = self._tokens("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")
                self.span(gateway, "call", own | tokens | arrives, "Client")
                if self.often(0.2):
                    self.span(gateway, "foreign", {"openinference.span.kind": "LLM"} | arrives)

    def _gateway(self, call: str) -> tuple[str, dict[str, str]]:
        """What its calls lie below, and what they say of that: a server's span, a step, or the app's call."""
        remote = {"fanlight.parent.remote": "true"}
        way = self.rng.choice(("server", "step", "none"))
        if way == "server":
            return self.span(call, "foreign", {"http.route": "/v1/chat/completions"}, "Server"), {}
        return (self.span(call, "tool", remote), {}) if way == "step" else (call, remote)

    def _model(self) -> dict[str, str]:
        told = {
            "gen_ai.operation.name": self.rng.choice(("chat", "chat", "embeddings")),
            "gen_ai.request.model": self.rng.choice(MODELS),
            "gen_ai.provider.name": self.rng.choice(("openai", "vllm")),
            "server.address": self.rng.choice(HOSTS),
            "gen_ai.response.id": f"r-{self.rng.getrandbits(60)}",
            "gen_ai.request.max_tokens": str(self.rng.randrange(1, 500)),
            "gen_ai.request.choice.count": str(self.rng.randrange(1, 4)),
            "fanlight.inputs": str(self.rng.randrange(1, 4)),
            "gen_ai.request.stream": self.rng.choice(("true", "false")),
            "gen_ai.response.time_to_first_chunk": "0.25",
            "fanlight.usage.source": "reported",
            "fanlight.server.prefill": "0.125",
        }
        optional = [name for name in told if name not in ("gen_ai.operation.name", "gen_ai.request.model")]
        return {name: value for name, value in told.items() if name not in optional or self.often(0.5)}

    def _foreign_calls(self, parent: str) -> None:
        outer = self._foreign_call(parent)
        if self.often(0.3):
            self._foreign_call(outer)
        elif self.often(0.2):  # a second library, which tells of the same call
            first = self.rows[-1]
            second = {name: text for name, text in first["SpanAttributes"].items() if "token" not in name}
            twin = first | {
                "SpanId": f"{self.rng.getrandbits(64) or 1:016x}",
                "ScopeName": "a.second.library",
            }
            self.rows.append(twin | {"SpanAttributes": second})

    def _foreign_call(self, parent: str) -> str:
        tokens = self._tokens("llm.token_count.prompt", "llm.token_count.completion")
        own = {
            "openinference.span.kind": "LLM",
            "llm.model_name": self.rng.choice(MODELS),
            "gen_ai.response.id": f"r-{self.rng.getrandbits(60)}",
        }
        return self.span(parent, "call", own | tokens)

    def _tokens(self, *names: str) -> dict[str, str]:
        if self.often(0.2):
            return {}
        return {name: str(self.rng.randrange(50, 5_000)) for name in names}

    def step(self, parent: str) -> str:
        role = self.rng.choice(("agent", "tool"))
        own = {"openinference.span.kind": role.upper()} if self.kind == "foreign" else {}
        if self.often(0.5):
            own["gen_ai.agent.name"] = self.rng.choice(("planner", "searcher"))
        return self.span(parent, role, own)

    def elsewhere(self, parent: str) -> None:
        """An agent on another host, whose clock is off."""
        here, off = self.now, self.rng.randrange(-HOUR_NS // 2, HOUR_NS // 2)
        self.now += off
        self.call(self.step(parent))
        self.now = max(here, self.now - off)

    def build(self) -> list[Row]:
        linked, self.kind = self.kind, self.rng.choice(("declared", "foreign")) if self.links else self.kind
        root = "" if self.kind in ("declared", "foreign") else self._entry()
        if self.kind == "foreign":
            top = self.span(root, "other", {})
        else:
            own = {"user.id": self.user, "fanlight.action.origin": self.rng.choice(("user", "schedule"))}
            own["fanlight.workload"] = self.rng.choice(("serving", "serving", "eval"))
            if self.often(0.1):
                own["fanlight.action.parent_id"] = f"{self.rng.getrandbits(128) or 1:032x}"
            top = self.span(root, "action", own)
        place = len(self.rows) - 1
        parents = [top]
        for _ in range(self.rng.randrange(1, 12)):
            parent = self.rng.choice(parents[-4:])
            if self.often(0.4):
                parents.append(self.step(parent))
            elif self.often(0.1):
                self.elsewhere(parent)
            else:
                self.call(parent)
        if self.kind == "two traces":
            self.trace_id = f"{self.rng.getrandbits(128) or 1:032x}"
            self.now += self.rng.randrange(-HOUR_NS, HOUR_NS)  # another host, whose clock is off
            far = self.span(self._entry(), "agent", {})
            self.rows[-1]["SpanAttributes"]["fanlight.action.id"] = self.action_id
            self.call(far)
        if self.links:
            self._linked(2 if linked == "linked to two" else 1)
        self._unended(place)
        if self.often(0.2):
            self._circle()
        return self.rows

    def _linked(self, traces: int) -> None:
        """A worker of another tracer, whose trace only links to the one that it works for."""
        first = self.rows[0]
        self.kind, self.trace_id = "foreign", f"{self.rng.getrandbits(128) or 1:032x}"
        worker = self.span("", "other", {})
        links = [first["TraceId"], *(f"{self.rng.getrandbits(128) or 1:032x}" for _ in range(traces - 1))]
        self.rows[-1] |= {
            "Links.TraceId": links,
            "Links.SpanId": [first["SpanId"]] * traces,
            "Links.TraceState": [""] * traces,
            "Links.Attributes": [{}] * traces,
        }
        self.call(self.step(worker))

    def _unended(self, root: int) -> None:
        """Some roots have not ended, some never will, some have not arrived."""
        row = self.rows[root]
        if self.often(0.1):
            self.rows[root] = row | {"Duration": 0}
        elif self.often(0.1):
            died = row["SpanAttributes"] | DIED
            self.rows[root] = row | {"Duration": 0, "StatusCode": "Error", "SpanAttributes": died}
        elif self.often(0.2) and self.kind != "named late":
            del self.rows[root]

    def _circle(self) -> None:
        """A span whose parent is any of its trace: itself, or one that stands below it.

        A request stays below its call, which tells how many there were; elsewhere it would be one more.
        """
        movable = [one for one in self.rows if "http.request.resend_count" not in one["SpanAttributes"]]
        if not movable:
            return
        row = self.rng.choice(movable)
        beside = [other["SpanId"] for other in self.rows if other["TraceId"] == row["TraceId"]]
        self.rows[self.rows.index(row)] = row | {"ParentSpanId": self.rng.choice(beside)}

    def _entry(self) -> str:
        """A web server's own span, of no tracer that knows of actions."""
        return self.span("", "foreign", {"http.route": "/ask"}, "Server")


def rows(rng: random.Random, cascades: int, users: int = 3) -> list[Row]:
    """The spans of some cascades, each once and complete."""
    return [row for _ in range(cascades) for row in _Cascade(rng, rng.choice(KINDS), users).build()]


def deliveries(rng: random.Random, complete: list[Row]) -> Iterator[list[Row]]:
    """Batches in any order, each one to three times.

    Some spans also come as they were announced, as started, or as a route that drops attributes has them.
    """
    sent = list(complete)
    for row in complete:
        attributes = row["SpanAttributes"]
        if rng.random() < 0.2:
            sent.append(row | {"Duration": 0, "SpanAttributes": _some(rng, attributes)})
        if rng.random() < 0.1 and row["Duration"]:
            announced = attributes | DIED | {f"more.{number}": "" for number in range(3)}
            sent.append(row | {"Duration": 0, "StatusCode": "Error", "SpanAttributes": announced})
        if rng.random() < 0.2 and attributes:
            fewer = _some(rng, attributes)
            sent.append(row | {"SpanAttributes": dict(list(fewer.items())[: len(attributes) - 1])})
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

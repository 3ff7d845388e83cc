"""What fanlight said of calls, in a shape that compares as a whole: no ids, no times, no addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from fanlight.testing import Captured, Tree
from mock_provider import Asked

OTHER_TOKENS = ("cached", "cache_write", "reasoning")

SHORT = {
    "gen_ai.usage.input_tokens": "input",
    "gen_ai.usage.output_tokens": "output",
    "gen_ai.usage.cache_read.input_tokens": "cached",
    "gen_ai.usage.cache_write.input_tokens": "cache_write",
    "gen_ai.usage.reasoning.output_tokens": "reasoning",
    "gen_ai.request.model": "model",
    "gen_ai.response.model": "answered_by",
    "gen_ai.response.finish_reasons": "finish",
    "gen_ai.request.stream": "stream",
    "gen_ai.request.max_tokens": "max_tokens",
    "gen_ai.request.choice.count": "choices",
    "fanlight.inputs": "inputs",
    "fanlight.usage.source": "usage",
    "fanlight.requests": "requests",
    "fanlight.request.outcome": "outcome",
    "fanlight.stream.end": "stream_end",
    "fanlight.stream.chunks": "chunks",
    "http.response.status_code": "http",
    "http.request.resend_count": "resend",
    "error.type": "error",
}


@dataclass(frozen=True)
class Node:
    """A span and those below it: its name, whether it is marked as failed, and what it says."""

    name: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    failed: bool = False
    below: tuple[Node, ...] = ()

    def but(self, **facts: Any) -> Node:
        """The same with other facts; None takes one away."""
        merged = {key: value for key, value in {**self.facts, **facts}.items() if value is not None}
        return replace(self, facts=merged, failed="error" in merged)


def described(captured: Captured) -> list[Node]:
    """All that was recorded, as trees in the order of their start."""
    return [_node(tree) for tree in captured.trees()]


def _node(tree: Tree) -> Node:
    facts = {SHORT[key]: value for key, value in tree.span.attributes.items() if key in SHORT}
    if "error" in facts:
        facts["error"] = str(facts["error"]).rpartition(".")[
            2
        ]  # httpx.ReadError is httpx2.ReadError elsewhere
    below = tuple(_node(child) for child in tree.children)
    return Node(tree.name, facts, tree.span.status.name == "ERROR", below)


def tokens(truth: Asked) -> dict[str, Any]:
    """All token kinds of an answer, as its provider knows them."""
    return {
        "usage": "reported",
        "input": truth.input_tokens,
        "output": truth.output_tokens,
        **{kind: truth.said[kind] for kind in OTHER_TOKENS if kind in truth.said},
    }


def said(truth: Asked) -> dict[str, Any]:
    """All that an answer says of itself."""
    of_itself = {"answered_by": truth.said.get("answered_by"), "finish": tuple(truth.said.get("finish", ()))}
    return {**{key: value for key, value in of_itself.items() if value}, **tokens(truth)}


def plain_call(truth: Asked, **facts: Any) -> Node:
    """A chat call of model `m` that took one request and was answered in full."""
    node = Node(
        "chat m",
        {
            "model": "m",
            "requests": 1,
            "outcome": "answered",
            "http": 200,
            **said(truth),
        },
    )
    return node.but(**facts)


def estimated(truth: Asked) -> dict[str, Any]:
    """The input of a request whose usage nobody reported: a token for every four bytes of its body."""
    return {"usage": "estimated", "input": round(truth.body_bytes / 4)}


def request_of(url: str, resend: int, truth: Asked, **facts: Any) -> Node:
    """One request of a call that took several, by the path that the provider saw under a scenario's URL."""
    scenario = "/".join(url.split("/")[3:5])
    return Node(f"POST /{scenario}{truth.path}").but(model="m", resend=resend, **facts)


def answered_request(url: str, resend: int, truth: Asked) -> Node:
    """The one that was answered."""
    return request_of(url, resend, truth, http=200, outcome="answered", **said(truth))


def failed_request(url: str, resend: int, truth: Asked) -> Node:
    """One that a server could not answer (500), or would not."""
    known = {"http": truth.status, "error": str(truth.status)}
    if truth.status == 500:
        return lost_request(url, resend, truth, **known)
    return request_of(url, resend, truth, outcome="refused", **known)


def lost_request(url: str, resend: int, truth: Asked, error: str, **facts: Any) -> Node:
    """One whose answer nobody knows."""
    return request_of(url, resend, truth, outcome="unknown", error=error, **estimated(truth), **facts)


def stream_call(truth: Asked, end: str, **facts: Any) -> Node:
    """A streamed chat call whose tokens nobody reported: estimated from what was seen."""
    seen = {**estimated(truth), "cached": None, "reasoning": None}
    return plain_call(truth).but(**{"stream": True, "stream_end": end, **seen, **facts})

"""The work of one request as additive features, with bounds where something about it is not known.

Sums of them over any group of requests are priced by one rate card (see pricing.py). Six are the request's
own and are what a store keeps. The other two, the share of engine steps s and the weight passes w, follow
from o once the batch B is known, so they are not kept apart; `steps` gives them.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome: TypeAlias = Literal["answered", "refused", "timed_out", "server_error", "cancelled", "cut"]

CACHE_BLOCK_TOKENS = (
    16  # vLLM's default block_size; an engine never takes a prompt's last block from its cache
)
UNLIMITED_OUTPUT_TOKENS = (
    16_384  # assumed limit of a request that names none (the largest of gpt-4o's, OpenAI docs)
)
FASTEST_DECODE_TOKENS_PER_S = 10_500  # of one choice: the most published for any model on GPUs, a B200 with
# speculative edits (https://www.morphllm.com/blog/morph-breaks-10k-barrier, 2025-09-15)


@dataclass(frozen=True, slots=True)
class Work:
    """What requests ask of an engine; adding two gives the work of both."""

    n: float = 0.0  # requests
    u: float = 0.0  # uncached input tokens
    c: float = 0.0  # cached input tokens
    o: float = 0.0  # output tokens, reasoning included
    a: float = 0.0  # attention of prefill, token pairs
    k: float = 0.0  # cache reads of decode, token-steps

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.n + other.n,
            self.u + other.u,
            self.c + other.c,
            self.o + other.o,
            self.a + other.a,
            self.k + other.k,
        )


@dataclass(frozen=True, slots=True)
class WorkRange:
    """The work as far as it is known, and the least and the most that it can have been."""

    value: Work
    low: Work
    high: Work
    cache_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What is known of one request; None is not reported, never 0."""

    outcome: Outcome
    input_tokens: int | None  # cached ones included
    output_tokens: int | None
    cached_tokens: int | None = None
    max_tokens: int | None = None  # limit of one choice
    inputs: int = 1
    choices: int = 1
    prefix_seen: bool = False  # an earlier call of the session went to the same model
    worked_s: float | None = None  # the longest that the engine can have worked on it; None is not known


@dataclass(frozen=True, slots=True)
class Steps:
    """What the decode steps of a request share with the others that are decoded at once."""

    s: float = 0.0  # share of engine steps: the sum of 1 / B over its steps
    w: float = 0.0  # passes over all weights: f(B) s

    def __add__(self, other: "Steps") -> "Steps":
        return Steps(self.s + other.s, self.w + other.w)


def steps(
    output_tokens: float,
    batch: float,
    *,
    dense_share: float = 1.0,
    expert_share: float = 1.0,
    accepted: float = 1.0,
    drafted: float = 0.0,
) -> Steps:
    """The steps of a request whose output is decoded beside `batch` - 1 others.

    A mixture reads f(B) = dense + (1 - dense) (1 - (1 - topk / E)^B) of its weights in a step of B tokens.
    Speculative decoding runs `drafted` tokens beside the one of each request, of which a step yields
    `accepted` in all, 1 to drafted + 1: fewer steps, each of B (drafted + 1) tokens.
    """
    if batch < 1 or not 1 <= accepted <= drafted + 1:
        raise ValueError(f"batch {batch} is below 1, or accepted {accepted} not in 1 to {drafted + 1}")
    shared = output_tokens / accepted / batch
    tokens = batch * (drafted + 1)
    return Steps(shared, shared * (dense_share + (1 - dense_share) * (1 - (1 - expert_share) ** tokens)))


def attended(before: float, new: float, window: float = math.inf) -> float:
    """Token pairs of `new` tokens that follow `before` others: each sees them, and half of itself.

    With a window it sees no more than the last `window` tokens. That is at most new * window, and below it by
    at most window^2 / 2, so that layers with a window are bounded by the sums of tokens and sequences alone.
    """
    growing = min(max(window - before, 0.0), new)  # tokens that see less than a window
    return growing * (before + growing / 2) + ((new - growing) * window if new > growing else 0.0)


def work(
    input_tokens: float,
    cached: float,
    output_tokens: float,
    inputs: int = 1,
    choices: int = 1,
    window: float = math.inf,
) -> Work:
    """The work of one request: m equal inputs share the input tokens, m equal choices the output tokens.

    a sums u_i (c_i + u_i / 2) over the inputs; k sums o_j (c + u + o_j / 2) over the choices, whose prompt is
    computed once. With `window`, a and k are those of a layer that sees so many tokens.
    """
    uncached = input_tokens - cached
    return Work(
        n=1.0,
        u=uncached,
        c=cached,
        o=output_tokens,
        a=inputs * attended(cached / inputs, uncached / inputs, window),
        k=choices * attended(input_tokens, output_tokens / choices, window),
    )


def work_range(request: Request) -> WorkRange | None:
    """The work of a request with its bounds, None where the tokens that it depends on are not known.

    Refused requests are no work. Where no answer was seen, the most is decoding up to the token limit, or as
    much as fits into `worked_s`, and the least is nothing (time-outs, server errors) or what was seen. Where
    cache reads were not reported, the least is that all but the last block was cached, if an earlier call
    could have filled the cache.
    """
    if request.outcome == "refused":
        return WorkRange(Work(), Work(), Work())
    answered = request.outcome == "answered"
    if request.input_tokens is None or (answered and request.output_tokens is None):
        return None
    seen = request.output_tokens or 0
    most = seen if answered else max(seen, _limit(request))
    cached = min(request.cached_tokens or 0, request.input_tokens)
    return WorkRange(
        value=_of(request, cached, seen),
        low=Work()
        if request.outcome in ("timed_out", "server_error")
        else _of(request, _most_cached(request), seen),
        high=_of(request, cached, most),
        cache_unknown=request.cached_tokens is None,
    )


def _of(request: Request, cached: int, output_tokens: float) -> Work:
    return work(request.input_tokens or 0, cached, output_tokens, request.inputs, request.choices)


def _most_cached(request: Request) -> int:
    tokens = request.input_tokens or 0
    if request.cached_tokens is not None:
        return min(request.cached_tokens, tokens)
    if not request.prefix_seen:
        return 0
    return max(0, (tokens - 1) // CACHE_BLOCK_TOKENS * CACHE_BLOCK_TOKENS)


def _limit(request: Request) -> float:
    most = UNLIMITED_OUTPUT_TOKENS if request.max_tokens is None else request.max_tokens * request.choices
    if request.worked_s is None:
        return most
    return min(most, request.worked_s * FASTEST_DECODE_TOKENS_PER_S * request.choices)

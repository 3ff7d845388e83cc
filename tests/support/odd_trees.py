"""Cascades that no good tracer would write, out of a seed: circles, orphans, strangers, clocks that differ.

rows = odd_trees.rows(random.Random(7), spans=40)
"""

import random
from typing import Any

import otlp_json

START_NS = 1_795_400_000 * 10**9
ROLES = ("agent", "tool", "call", "call", "request", "other", "other")


def rows(rng: random.Random, spans: int) -> list[dict[str, Any]]:
    """One action over two traces, and a second one inside the first of them."""
    action, second = f"{rng.getrandbits(128):032x}", f"{rng.getrandbits(128):032x}"
    traces = (action, f"{rng.getrandbits(128):032x}")
    ids = [f"{rng.getrandbits(63) + 1:016x}" for _ in range(spans)]
    where = [traces[rng.random() < 0.3] for _ in range(spans)]
    found = []
    for number in range(spans):
        start = START_NS + rng.randrange(0, 2_000, 100)
        role = "action" if number == 0 and rng.random() < 0.8 else rng.choice(ROLES)
        attributes = {} if role == "other" else {"fanlight.role": role}
        if where[number] == traces[1] or rng.random() < 0.1:
            attributes["fanlight.action.id"] = action
        if number > 0 and rng.random() < 0.05:
            attributes["fanlight.action.id"] = second
        if role == "call" and rng.random() < 0.5:
            attributes |= {"fanlight.wire": "true", "fanlight.requests": str(rng.randrange(3))}
        if rng.random() < 0.05:
            attributes["fanlight.hop"] = str(rng.randrange(4))
        found.append(
            otlp_json.row(
                trace_id=where[number],
                span_id=ids[number],
                parent_id=_parent(rng, number, ids, where),
                start_ns=start,
                end_ns=start + rng.choice((0, *range(100, 2_000, 100))) * (2 if role == "action" else 1),
                attributes=attributes,
            )
        )
    return found


def _parent(rng: random.Random, number: int, ids: list[str], where: list[str]) -> str:
    chance = rng.random()
    if number == 0 or chance < 0.05:
        return ""
    if chance < 0.1:
        return ids[number]
    if chance < 0.15:
        return f"{rng.getrandbits(63) + 1:016x}"  # has not arrived
    beside = [n for n in range(len(ids)) if where[n] == where[number]]
    earlier = [n for n in beside if n < number]
    return ids[rng.choice(beside if chance < 0.25 or not earlier else earlier[-6:])]

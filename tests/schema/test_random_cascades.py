"""The property test's cascades and deliveries hold what it is said to be held against, each of it often."""

import itertools
import random
from collections import Counter, defaultdict
from typing import Any

import pytest

import random_cascades
import reference_counts
import reference_views

SEEDS = range(40)
ACTIONS = [
    *(
        "open",
        "gateway_calls",
        "wrapper_spans",
        "duplicate_spans",
        "skewed_spans",
        "orphans",
        "dropped_spans",
    ),
    *("step_errors", "errors"),
]
CASCADES = [
    *(
        *ACTIONS,
        "several traces",
        "several users",
        "no root",
        "no request",
        "declared",
        "inferred",
        "retried",
    ),
    *(
        "refused",
        "assumed",
        "died",
        "tokens unknown",
        "engine",
        "call lost",
        "in two hours",
        "untold request",
        "linked",
        "linked to two",
        "circle",
    ),
]
WAYS = [
    *("sent 1 times", "sent 2 times", "sent 3 times", "started then ended", "ended then started"),
    *("died then ended", "attributes dropped", "action named last"),
]
NO_PRICES = reference_views.Prices({})
Row = dict[str, Any]


def delivered(seed: int) -> tuple[list[Row], list[list[Row]]]:
    rng = random.Random(seed)
    complete = random_cascades.rows(rng, cascades=10)
    return complete, list(random_cascades.deliveries(rng, complete))


@pytest.fixture(scope="module")
def cascades() -> Counter[str]:
    """How often each kind of action and call comes out, by the reference count."""
    found: Counter[str] = Counter()
    for seed in SEEDS:
        rows, _ = delivered(seed)
        views = reference_views.views(rows, NO_PRICES)
        for action in views["actions"]:
            found.update(name for name in ACTIONS if action[name])
            found["several traces"] += action["traces"] > 1
            found["several users"] += action["users"] > 1
            found["no root"] += not action["has_root"]
            found["no request"] += action["requests"] == 0
            found[action["action_source"]] += 1
        for call in views["model_calls"]:
            found["retried"] += call["requests"] > 1
            found["refused"] += call["requests_refused"] > 0
            found["assumed"] += call["requests_source"] == "assumed"
            found["died"] += call["error_type"] == "process_died"
            found["tokens unknown"] += call["input_tokens"] is None
        for action_id, members in reference_counts.actions(rows).items():
            links = [(node.row["Links.TraceId"], node.row["TraceId"]) for node in members]
            found["linked"] += any(action_id in told and trace != action_id for told, trace in links)
            found["linked to two"] += any(len(told) > 1 and trace == action_id for told, trace in links)
            found["engine"] += any(node.role == "engine" for node in members)
            spans = {(node.row["TraceId"], node.row["SpanId"]) for node in members}
            found["circle"] += any(
                node.parent is None and (node.row["TraceId"], node.row["ParentSpanId"]) in spans
                for node in members
            )
            for call in reference_counts.calls(members):
                found["call lost"] += call.lost
                found["in two hours"] += (
                    len({node.start // reference_views.HOUR_NS for node in call.sent}) > 1
                )
                found["untold request"] += 0 < len(call.sent) < call.requests
    return found


@pytest.mark.parametrize("kind", CASCADES)
def test_cascades_of_this_kind_come_out(cascades: Counter[str], kind: str) -> None:
    assert cascades[kind] >= 10


@pytest.fixture(scope="module")
def ways() -> Counter[str]:
    """How often spans take each way to the store."""
    found: Counter[str] = Counter()
    for seed in SEEDS:
        complete, batches = delivered(seed)
        whole = {(row["TraceId"], row["SpanId"]): row for row in complete}
        arrived: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in itertools.chain.from_iterable(batches):
            arrived[row["TraceId"], row["SpanId"]].append(row)
        assert arrived.keys() == whole.keys()
        sent = Counter(id(row) for batch in batches for row in batch)
        found.update(f"sent {times} times" for times in sent.values())
        for key, states in arrived.items():
            final = whole[key]
            ends = [row["Duration"] > 0 for row in states]
            found["started then ended"] += final["Duration"] > 0 and not ends[0] and any(ends)
            found["ended then started"] += ends[0] and not all(ends)
            found["died then ended"] += _died(states[0]) and not _died(final) and any(ends)
            found["attributes dropped"] += any(
                0 < len(row["SpanAttributes"]) < len(final["SpanAttributes"]) for row in states
            )
        found["action named last"] += _is_named_last(batches)
    return found


def _died(row: Row) -> bool:
    return bool(row["SpanAttributes"].get("error.type") == "process_died")


def _is_named_last(batches: list[list[Row]]) -> bool:
    """Whether a trace learns its action from nothing but the last batch."""
    early = {
        row["TraceId"]
        for batch in batches[:-1]
        for row in batch
        if row["SpanAttributes"].get("fanlight.action.id")
    }
    seen = {row["TraceId"] for batch in batches[:-1] for row in batch}
    named = {row["TraceId"] for row in batches[-1] if row["SpanAttributes"].get("fanlight.action.id")}
    return bool((named & seen) - early)


@pytest.mark.parametrize("way", WAYS)
def test_spans_take_this_way(ways: Counter[str], way: str) -> None:
    assert ways[way] >= 10

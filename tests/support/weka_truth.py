"""What the recorded sessions hold, computed from the raw file: the numbers that fanlight's SQL has to give.

Nothing here is shared with the replay but the file's reader: actions, sub-agents and cached tokens are
derived a second time, and percentiles are taken from sorted lists.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, order=True)
class ActionTruth:
    """One action's counts. A tool execution is a call that stopped for tools, in whichever agent."""

    session: str
    calls: int
    sub_agents: int
    tools: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class FanoutTruth:
    """Calls per action: number of actions, sum, mean, and nearest-rank percentiles."""

    actions: int
    calls: int
    mean: float
    p50: int
    p90: int
    p99: int
    max: int


@dataclass(frozen=True, slots=True)
class TotalTruth:
    actions: int
    calls: int
    sub_agents: int
    tools: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int


def actions(raw: Iterable[Mapping[str, Any]]) -> list[ActionTruth]:
    """One row per action of raw sessions, sorted."""
    return sorted(_action(session, entries) for session in raw for entries in _split(session["requests"]))


def total(rows: Sequence[ActionTruth]) -> TotalTruth:
    sums = [sum(column) for column in zip(*(astuple(row)[1:] for row in rows), strict=True)]
    return TotalTruth(len(rows), *sums)


def fanout(rows: Iterable[ActionTruth]) -> FanoutTruth:
    calls = sorted(row.calls for row in rows)
    percentiles = [nearest_rank(calls, percent) for percent in (50, 90, 99)]
    return FanoutTruth(len(calls), sum(calls), sum(calls) / len(calls), *percentiles, calls[-1])


def fanout_by_session(rows: Iterable[ActionTruth]) -> dict[str, FanoutTruth]:
    by_session: defaultdict[str, list[ActionTruth]] = defaultdict(list)
    for row in rows:
        by_session[row.session].append(row)
    return {session: fanout(group) for session, group in by_session.items()}


def nearest_rank(values: Sequence[int], percent: int) -> int:
    """The smallest of the sorted values with at least that share of them at or below it."""
    return values[-(-percent * len(values) // 100) - 1]


def _split(entries: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    action: list[Mapping[str, Any]] = []
    for entry in entries:
        action.append(entry)
        if entry["type"] != "subagent" and entry["stop"] == "end_turn":
            yield action
            action = []
    if action:
        yield action


def _action(session: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> ActionTruth:
    flat = list(_flat(entries))
    calls = [entry for entry in flat if entry["type"] != "subagent"]
    block = session.get("block_size", 64)
    return ActionTruth(
        session=session["id"],
        calls=len(calls),
        sub_agents=len(flat) - len(calls),
        tools=sum(call["stop"] == "tool_use" for call in calls),
        input_tokens=sum(call["in"] for call in calls),
        cached_tokens=sum(min(call["in"], call["hit_blocks"] * block) for call in calls),
        output_tokens=sum(call["out"] for call in calls),
    )


def _flat(entries: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for entry in entries:
        yield entry
        if entry["type"] == "subagent":
            yield from _flat(entry["requests"])

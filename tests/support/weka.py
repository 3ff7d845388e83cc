"""Recorded coding-agent sessions (the WEKA kv-cache-tester traces), as actions, calls and sub-agents.

`sessions()` reads the folder agentic-claude-code-weka below FANLIGHT_TEST_DATA (default ../shared/data): the
file traces_slim.jsonl.gz, one session a line, or else traces/*.json(.gz), one session a file. Both give the
same records.

What the recording says, and what is made of it:
- An action starts at a session's first entry and after each call of the main agent that stopped with
  `end_turn`. A sub-agent's own `end_turn` ends no action.
- A session whose borders are not all known, because `stop` is missing or empty in any call of it, sub-agents'
  included, does not qualify. Of the 506 published sessions 347 qualify.
- Sixteen of those 347 are exact copies of another one (duplicates.json). They stay in: a store must count two
  users who did the very same thing as two users.
- A call's cached input is its blocks that the session had already sent, times the block size, at most its
  input.
- The recording holds answered calls only, so each call is one request, and none is an error.
"""

import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

ACTION_NAME = "user_turn"  # what a replay calls each action

PUBLISHED_SESSIONS = 506
PUBLISHED_QUALIFYING = 347
SAMPLE_SESSIONS = 30
SAMPLE_WITH_SUB_AGENTS = 6

_FOLDER = "agentic-claude-code-weka"
_SLIM_FILE = "traces_slim.jsonl.gz"
_REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Call:
    """One model call; `key` is its session's id and its place in it, the same in every reading."""

    key: str
    model: str
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    streamed: bool
    used_tools: bool
    duration_s: float


@dataclass(frozen=True, slots=True)
class SubAgent:
    name: str
    steps: tuple["Step", ...]


Step: TypeAlias = Call | SubAgent


@dataclass(frozen=True, slots=True)
class Action:
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    actions: tuple[Action, ...]

    @property
    def user(self) -> str:
        """The recording names no users, so each session is a user of its own."""
        return f"u-{self.id}"

    def calls(self) -> Iterator[Call]:
        for action in self.actions:
            yield from _calls_of(action.steps)

    def has_sub_agents(self) -> bool:
        return any(isinstance(step, SubAgent) for action in self.actions for step in action.steps)


def data_folder() -> Path:
    """Where real data lies, whether or not it is there."""
    return Path(os.environ.get("FANLIGHT_TEST_DATA") or _REPOSITORY.parent / "shared" / "data")


def folder() -> Path | None:
    """The recorded sessions' folder, None where this machine has none."""
    path = data_folder() / _FOLDER
    return path if (path / _SLIM_FILE).is_file() or any(path.glob("traces/*.json*")) else None


def raw_sessions(path: Path) -> list[dict[str, Any]]:
    """The sessions as they lie in the file, by id, block counts included.

    Raises ValueError if two sessions have the same id.
    """
    slim = path / _SLIM_FILE
    raw = (
        list(_lines(slim))
        if slim.is_file()
        else [original(file) for file in sorted(path.glob("traces/*.json*"))]
    )
    if len({session["id"] for session in raw}) != len(raw):
        raise ValueError(f"two sessions in {path} have the same id; give each its own")
    return sorted(raw, key=lambda session: str(session["id"]))


def original(path: Path) -> dict[str, Any]:
    """One session from a file that lists block hashes, with the counts that the slim form has instead."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        session: dict[str, Any] = json.load(file)
    _count_blocks(session["requests"], set())
    return session


def qualifies(session: Mapping[str, Any]) -> bool:
    """Whether all action borders of a raw session are known."""
    return bool(session["requests"]) and _all_stops_known(session["requests"])


def sessions(path: Path) -> list[Session]:
    """The sessions with known action borders, by id."""
    return [_session(raw) for raw in raw_sessions(path) if qualifies(raw)]


def sample(among: Iterable[Session]) -> list[Session]:
    """Thirty of them, always the same: by the hash of the id, six with sub-agents before the others."""
    by_hash = sorted(among, key=lambda session: hashlib.sha256(session.id.encode()).digest())
    nested = [session for session in by_hash if session.has_sub_agents()][:SAMPLE_WITH_SUB_AGENTS]
    others = [session for session in by_hash if not session.has_sub_agents()]
    return sorted(nested + others[: SAMPLE_SESSIONS - len(nested)], key=lambda session: session.id)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        yield from (json.loads(line) for line in file)


def _count_blocks(requests: list[dict[str, Any]], seen: set[int]) -> None:
    """Replaces `hash_ids` by their number and by how many the session, sub-agents included, had sent."""
    for request in requests:
        if "requests" in request:
            _count_blocks(request["requests"], seen)
            continue
        hashes = request.pop("hash_ids")
        request["n_blocks"] = len(hashes)
        request["hit_blocks"] = sum(block in seen for block in hashes)
        seen.update(hashes)


def _all_stops_known(requests: Iterable[Mapping[str, Any]]) -> bool:
    return all(_all_stops_known(r["requests"]) if "requests" in r else bool(r.get("stop")) for r in requests)


def _session(raw: Mapping[str, Any]) -> Session:
    steps = _steps(raw["requests"], _Reading(raw["id"], raw.get("block_size", 64)))
    actions: list[list[Step]] = []
    ended = True
    for request, step in zip(raw["requests"], steps, strict=True):
        if ended:
            actions.append([])
        actions[-1].append(step)
        ended = request.get("stop") == "end_turn"
    return Session(raw["id"], tuple(Action(tuple(action)) for action in actions))


@dataclass(slots=True)
class _Reading:
    session_id: str
    block_size: int
    calls_read: int = 0

    def next_key(self) -> str:
        self.calls_read += 1
        return f"{self.session_id}/{self.calls_read}"


def _steps(requests: Iterable[Mapping[str, Any]], reading: _Reading) -> list[Step]:
    return [_sub_agent(r, reading) if "requests" in r else _call(r, reading) for r in requests]


def _sub_agent(raw: Mapping[str, Any], reading: _Reading) -> SubAgent:
    return SubAgent(raw.get("subagent_type") or "subagent", tuple(_steps(raw["requests"], reading)))


def _call(raw: Mapping[str, Any], reading: _Reading) -> Call:
    return Call(
        key=reading.next_key(),
        model=raw["model"],
        input_tokens=raw["in"],
        cached_tokens=min(raw["hit_blocks"] * reading.block_size, raw["in"]),
        output_tokens=raw["out"],
        streamed=raw["type"] == "s",
        used_tools=raw["stop"] == "tool_use",
        duration_s=raw.get("api_time") or 0.0,
    )


def _calls_of(steps: Iterable[Step]) -> Iterator[Call]:
    for step in steps:
        if isinstance(step, SubAgent):
            yield from _calls_of(step.steps)
        else:
            yield step

"""The 65 situations in which other tracers were measured (../shared/notes/peers.md), and the truth of each.

`SITUATIONS` says of each what its requests met (`faults`), what the provider counted (`answers`, `tokens`:
as in the notes), and the whole tree of spans that tells of it. The programs are functions of the same names
in situation_calls, situation_workers and situation_exits; situation_runs lets them run and compares.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from mock_provider import Asked, Fault
from span_trees import (
    Node,
    answered_request,
    estimated,
    failed_request,
    lost_request,
    plain_call,
    stream_call,
)

Kind = Literal["sync", "async"]
Calls = Callable[[list[Asked], str], tuple[Node, ...]]  # of what the provider was asked, under a URL


class Dropped(str):
    """How a stream ends that the app left to the garbage: closed by the SDK as it is freed, or just gone."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return other in ("closed", "abandoned")

    def __hash__(self) -> int:
        return 0


DROPPED = Dropped("dropped")
QUICKLY = {"retry-after-ms": "1"}  # the SDK's own, so that a retry does not wait half a second
FAILED = Fault(status=500, headers=QUICKLY)
ONE_ANSWER = (200,)
BOTH: tuple[Kind, ...] = ("sync", "async")


@dataclass(frozen=True, slots=True)
class Situation:
    """One row: an action of this name, in which an app does what the name says."""

    name: str
    tokens: tuple[int, int]  # input and output of all answers, as the provider counted them
    calls: Calls  # what stands below the action
    answers: tuple[int | None, ...] = ONE_ANSWER  # one for each physical request; None: none was begun
    faults: tuple[Fault, ...] = ()
    kinds: tuple[Kind, ...] = BOTH
    root: dict[str, Any] = field(default_factory=dict)  # what the action says of itself
    at_least_s: float = 0.0  # the call takes

    def tree(self, asked: list[Asked], url: str) -> Node:
        """All that is to be told of the action."""
        return Node(self.name, self.root, "error" in self.root, self.calls(asked, url))

    @property
    def truth(self) -> str:
        """As the notes write it: requests(answered) input/output."""
        answered = sum(status == 200 for status in self.answers)
        return f"{len(self.answers)}({answered}) {self.tokens[0]}/{self.tokens[1]}"


def each_answered(asked: list[Asked], url: str) -> tuple[Node, ...]:
    return tuple(plain_call(one) for one in asked)


def retried(asked: list[Asked], url: str) -> tuple[Node, ...]:
    """One call; its last try is answered."""
    *lost, last = asked
    tries = [failed_request(url, number, one) for number, one in enumerate(lost)]
    call = plain_call(last).but(requests=len(asked), outcome=None, http=None)
    return (Node(call.name, call.facts, below=(*tries, answered_request(url, len(lost), last))),)


def never_answered(error: str, request: Callable[[str, int, Asked], Node]) -> Calls:
    def calls(asked: list[Asked], url: str) -> tuple[Node, ...]:
        facts = {"model": "m", "requests": len(asked), "error": error, **estimated(asked[0])}
        tries = tuple(request(url, number, one) for number, one in enumerate(asked))
        return (Node("chat m", facts, True, tries),)

    return calls


def lost(error: str) -> Calls:
    """A call of one request that nobody answered."""

    def calls(asked: list[Asked], url: str) -> tuple[Node, ...]:
        facts = {"outcome": "unknown", "error": error, **estimated(asked[0])}
        return (Node("chat m").but(model="m", requests=1, **facts),)

    return calls


def timed_out(url: str, number: int, asked: Asked) -> Node:
    return lost_request(url, number, asked, "ReadTimeout")


def read_whole(asked: list[Asked], url: str) -> tuple[Node, ...]:
    """A stream that told its usage at the end."""
    return (whole_stream(asked[0]),)


def whole_stream(asked: Asked) -> Node:
    return plain_call(asked, stream=True, stream_end="completed", chunks=asked.events_sent)


def left(end: str, events: int, **facts: Any) -> Calls:
    """A stream of which some came; what it cost is estimated by them."""

    def calls(asked: list[Asked], url: str) -> tuple[Node, ...]:
        seen = {"finish": None, "chunks": events, "output": events, **facts}
        return (stream_call(asked[0], end, **seen),)

    return calls


def nothing_read(asked: list[Asked], url: str) -> tuple[Node, ...]:
    unknown = {"outcome": "unknown", "output": None, "answered_by": None, "finish": None, "chunks": 0}
    return (stream_call(asked[0], "abandoned", **unknown),)


def embedded(asked: list[Asked], url: str) -> tuple[Node, ...]:
    facts = {"model": "m", "answered_by": "m", "requests": 1, "outcome": "answered", "http": 200}
    told = {"usage": "reported", "input": asked[0].input_tokens}
    return (Node("embeddings m", {**facts, **told}),)


def nested(asked: list[Asked], url: str) -> tuple[Node, ...]:
    stream, plain = _streamed_first(asked)
    return (whole_stream(stream), plain_call(plain))


def generator_left(asked: list[Asked], url: str) -> tuple[Node, ...]:
    stream, plain = _streamed_first(asked)
    return (*left(DROPPED, 6)([stream], url), plain_call(plain))


def _streamed_first(asked: list[Asked]) -> list[Asked]:
    return sorted(asked, key=lambda one: not one.streamed)


def broken_off(events: int) -> tuple[Fault]:
    """The provider is asked for so many tokens and no more, so that it knows what it made."""
    return (Fault(hang_after=events),)


SLOW_S = 0.3
LOST = (None,)
DIED = {"error": "process_died"}
_S = Situation
SITUATIONS: tuple[Situation, ...] = (
    _S("plain", (22, 25), each_answered),
    _S("flaky2", (22, 25), retried, (500, 500, 200), (FAILED, FAILED, Fault())),
    _S("flaky2_async", (22, 25), retried, (500, 500, 200), (FAILED, FAILED, Fault()), ("async",)),
    _S(
        "rate_limited",
        (22, 25),
        retried,
        (429, 200),
        (Fault(status=429, headers={"retry-after": "0.05"}), Fault()),
    ),
    _S(
        "always_500",
        (0, 0),
        never_answered("InternalServerError", failed_request),
        (500, 500, 500),
        (FAILED,),
    ),
    _S("stream_usage", (22, 25), read_whole),
    _S("stream_nousage", (22, 25), left("completed", 25, finish=("stop",))),
    _S("stream_break", (22, 16), left(DROPPED, 16), faults=broken_off(16)),
    _S("stream_close", (22, 8), left("closed", 8), faults=broken_off(8)),
    _S("stream_with_break", (22, 8), left("closed", 8), faults=broken_off(8)),
    _S("stream_with_raise", (22, 8), left("closed", 8), faults=broken_off(8)),
    _S("stream_held", (22, 25), left("abandoned", 25), faults=broken_off(25)),
    _S("stream_never", (22, 25), nothing_read),
    _S("astream_break", (22, 17), left(DROPPED, 17), faults=broken_off(17), kinds=("async",)),
    _S(
        "astream_cancel",
        (22, 10),
        left("cancelled", 10, outcome="unknown", error="CancelledError"),
        faults=broken_off(10),
        kinds=("async",),
    ),
    _S(
        "cut_stream",
        (22, 10),
        left("cut", 10, outcome="unknown", error="RemoteProtocolError"),
        faults=(Fault(cut_after=10),),
    ),
    _S("timeout_1", (0, 0), lost("APITimeoutError"), LOST, (Fault(delay_s=5),)),
    _S(
        "timeout_retries",
        (0, 0),
        never_answered("APITimeoutError", timed_out),
        LOST * 3,
        (Fault(delay_s=5),),
    ),
    _S("async_cancel", (0, 0), lost("CancelledError"), LOST, (Fault(delay_s=5),), ("async",)),
    _S("async_wait_for", (0, 0), lost("CancelledError"), LOST, (Fault(delay_s=5),), ("async",)),
    _S("slow_duration", (22, 25), each_answered, faults=(Fault(delay_s=SLOW_S),), at_least_s=SLOW_S),
    _S("raw_response", (22, 25), each_answered),
    _S("raw_response_stream", (22, 25), read_whole),
    _S("streaming_response", (22, 25), each_answered),
    _S("streaming_response_stream", (22, 25), read_whole),
    _S("responses_plain", (16, 25), each_answered),
    _S("responses_stream", (16, 25), read_whole),
    _S("responses_stream_helper", (16, 25), read_whole),
    _S("responses_stream_break", (13, 8), left(DROPPED, 8), faults=broken_off(8)),
    _S("responses_async_stream", (13, 25), read_whole, kinds=("async",)),
    _S("parse", (22, 25), each_answered),
    _S("chat_stream_helper", (22, 25), read_whole),
    _S("embeddings", (13, 0), embedded),
    _S("generic_post", (22, 25), each_answered),
    _S("httpx_plain", (22, 25), each_answered),
    _S("httpx_plain_stream", (22, 25), read_whole),
    _S("urllib_plain", (22, 25), each_answered, kinds=("sync",)),
    _S("ctx_threadpool", (66, 75), each_answered, ONE_ANSWER * 3),
    _S("ctx_thread", (66, 75), each_answered, ONE_ANSWER * 3),
    _S("ctx_to_thread", (66, 75), each_answered, ONE_ANSWER * 3),
    _S("ctx_run_in_executor", (66, 75), each_answered, ONE_ANSWER * 3),
    _S("ctx_gather", (66, 75), each_answered, ONE_ANSWER * 3, kinds=("async",)),
    _S("ctx_create_task", (66, 75), each_answered, ONE_ANSWER * 3, kinds=("async",)),
    _S("ctx_stream_nested", (44, 50), nested, ONE_ANSWER * 2),
    _S("ctx_async_gen", (44, 31), generator_left, ONE_ANSWER * 2, (*broken_off(6), Fault())),
    _S("mp_fork_with", (88, 100), each_answered, ONE_ANSWER * 4),
    _S("mp_fork_close_join", (88, 100), each_answered, ONE_ANSWER * 4),
    _S("mp_spawn_noinit", (88, 100), each_answered, ONE_ANSWER * 4),
    _S("mp_spawn_init", (88, 100), each_answered, ONE_ANSWER * 4),
    _S("mp_process_fork", (22, 25), each_answered),
    _S("ppe_fork", (88, 100), each_answered, ONE_ANSWER * 4),
    _S("subprocess_setup", (22, 25), each_answered),
    _S("subprocess_nosetup", (11, 25), each_answered),
    _S("fork_wait6_os_exit", (132, 150), each_answered, ONE_ANSWER * 6),
    _S("fork_sys_exit", (132, 150), each_answered, ONE_ANSWER * 6),
    _S("fork_sigterm_worker", (66, 75), each_answered, ONE_ANSWER * 3),
    _S("exit_normal", (22, 25), each_answered),
    _S("exit_sys_exit", (22, 25), each_answered, root={"error": "SystemExit"}),
    _S("exit_exception", (22, 25), each_answered, root={"error": "ValueError"}),
    _S("exit_os__exit", (22, 25), each_answered, root=DIED),
    _S("exit_sigterm", (22, 25), each_answered, root=DIED),
    _S("exit_sigint", (22, 25), each_answered, root={"error": "KeyboardInterrupt"}),
    _S("exit_sigkill", (22, 25), each_answered, root=DIED),
    _S("exit_sigterm_midcall", (0, 0), lost("process_died"), LOST, (Fault(delay_s=20),), root=DIED),
    _S("exit_daemon_thread_inflight", (0, 0), lost("abandoned"), LOST, (Fault(delay_s=20),)),
)

"""Answers of ASGI apps that are streamed, left early or worked on afterwards: where their action ends."""

from asgi_agent import agent, url
from entry_trees import Told, told
from fanlight.testing import Captured
from serving import ask, ask_and_leave

__all__ = ["agent", "url"]  # fixtures


def test_action_lasts_until_the_last_byte_of_a_stream(captured: Captured, url: str) -> None:
    assert ask(f"{url}/stream").body == b"partpart"
    assert told(captured) == [Told("POST /stream", below=("chat m", "chat m"))]
    root, last = captured.named("POST /stream"), captured.with_role("call")[-1]
    assert root.end_time_ns - last.end_time_ns > 0.04e9  # the pause before the end


def test_client_that_leaves_ends_the_action_as_cut(captured: Captured, url: str) -> None:
    ask_and_leave(f"{url}/endless", 10_000)
    assert told(captured) == [Told("POST /endless", error="cut")]


def test_background_task_belongs_to_the_action_that_has_ended(captured: Captured, url: str) -> None:
    ask(f"{url}/later")
    assert told(captured) == [Told("POST /later")]
    root, (call,) = captured.named("POST /later"), captured.with_role("call")
    assert call.start_time_ns - root.end_time_ns > 0.05e9

"""Actions: their ids, their nesting, who they are for."""

import asyncio
import re

import pytest
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.sdk.trace import TracerProvider

import fanlight
from fanlight._cascade import Action, Cascade, with_cascade
from fanlight._entries import begin
from fanlight._tasks import TaskCaller
from fanlight.testing import Captured
from fanlight_schema import attributes as names


def test_public_names_are_the_documented_ones() -> None:
    assert sorted(fanlight.__all__) == [
        "action",
        "agent",
        "carrier",
        "flush",
        "instrument",
        "resume",
        "set_session",
        "set_user",
        "shutdown",
        "tool",
        "uninstrument",
        "wrap",
    ]
    assert all(hasattr(fanlight, name) for name in fanlight.__all__)


def test_action_that_starts_the_trace_has_the_traces_id(spans: Captured) -> None:
    with fanlight.action("answer"):
        pass
    root = spans.named("answer")
    assert root.attributes[names.ACTION_ID] == root.trace_id
    assert root.parent_span_id is None


def test_every_span_of_an_action_says_which_one_it_is(spans: Captured) -> None:
    with (
        fanlight.action("answer", user="u-42", session="s-1", origin="schedule", workload="eval"),
        fanlight.agent("planner"),
        fanlight.tool("search"),
    ):
        pass
    root = spans.named("answer")
    for span, role, hop in (
        (root, "action", 0),
        (spans.named("invoke_agent planner"), "agent", 0),
        (spans.named("execute_tool search"), "tool", 1),
    ):
        assert {key: value for key, value in span.attributes.items() if "gen_ai" not in key} == {
            names.ROLE: role,
            names.HOP: hop,
            names.ACTION_ID: root.trace_id,
            names.ACTION_NAME: "answer",
            names.ACTION_ORIGIN: "schedule",
            names.ACTION_SOURCE: "declared",
            names.WORKLOAD: "eval",
            names.USER_ID: "u-42",
            names.SESSION_ID: "s-1",
        }
    assert [tree.shape() for tree in spans.trees()] == [
        ("answer", [("invoke_agent planner", ["execute_tool search"])])
    ]


def test_steps_have_the_names_of_the_genai_conventions(spans: Captured) -> None:
    with fanlight.agent("planner"), fanlight.tool("search"):
        pass
    agent, tool = spans.named("invoke_agent planner"), spans.named("execute_tool search")
    assert agent.attributes["gen_ai.operation.name"] == "invoke_agent"
    assert agent.attributes["gen_ai.agent.name"] == "planner"
    assert tool.attributes["gen_ai.operation.name"] == "execute_tool"
    assert tool.attributes["gen_ai.tool.name"] == "search"


def test_action_inside_a_running_trace_has_an_id_of_its_own(spans: Captured) -> None:
    with TracerProvider().get_tracer("app").start_as_current_span("GET /"), fanlight.action("answer"):
        pass
    root = spans.named("answer")
    action_id = root.attributes[names.ACTION_ID]
    assert isinstance(action_id, str)
    assert re.fullmatch("[0-9a-f]{32}", action_id)
    assert action_id != root.trace_id
    assert names.PARENT_ACTION_ID not in root.attributes


def test_action_inside_an_action_is_a_step_of_it(spans: Captured) -> None:
    with fanlight.action("outer", user="u-1"), fanlight.action("inner", user="u-2", session="s-2"):
        pass
    outer, inner = spans.named("outer"), spans.named("invoke_agent inner")
    assert inner.attributes[names.ROLE] == "agent"
    assert inner.attributes[names.ACTION_ID] == outer.attributes[names.ACTION_ID]
    assert inner.attributes[names.ACTION_NAME] == "outer"
    assert outer.attributes[names.USER_ID] == "u-1"  # two users in one action: the earliest
    assert outer.attributes[names.SESSION_ID] == "s-2"  # it had none


def test_new_action_inside_an_action_knows_its_parent(spans: Captured) -> None:
    with fanlight.action("outer", user="u-1"), fanlight.action("inner", new=True), fanlight.tool("t"):
        pass
    outer, inner, tool = spans.named("outer"), spans.named("inner"), spans.named("execute_tool t")
    assert inner.attributes[names.ROLE] == "action"
    assert inner.attributes[names.PARENT_ACTION_ID] == outer.attributes[names.ACTION_ID]
    assert inner.attributes[names.ACTION_ID] != outer.attributes[names.ACTION_ID]
    assert inner.trace_id == outer.trace_id
    assert names.USER_ID not in inner.attributes
    assert tool.attributes[names.ACTION_ID] == inner.attributes[names.ACTION_ID]


def test_step_outside_any_action_belongs_to_its_trace(spans: Captured) -> None:
    with fanlight.agent("planner"), fanlight.tool("search"):
        pass
    for span in spans.spans:
        assert span.attributes[names.ACTION_ID] == span.trace_id
        assert span.attributes[names.ACTION_SOURCE] == "inferred"
        assert names.ACTION_NAME not in span.attributes


def test_user_set_deep_inside_lands_on_the_root_and_on_later_spans(spans: Captured) -> None:
    with fanlight.action("answer"):
        with fanlight.tool("before"):
            pass
        with fanlight.agent("planner"), fanlight.tool("login"):
            fanlight.set_user("u-42")
            fanlight.set_session("s-1")
        with fanlight.tool("after"):
            pass
    users = {span.name: span.attributes.get(names.USER_ID) for span in spans.spans}
    assert users == {
        "execute_tool before": None,
        "execute_tool login": "u-42",
        "invoke_agent planner": "u-42",
        "execute_tool after": "u-42",
        "answer": "u-42",
    }
    assert spans.named("answer").attributes[names.SESSION_ID] == "s-1"


def test_user_set_in_a_foreign_trace_holds_for_its_later_steps(spans: Captured) -> None:
    tracer = TracerProvider().get_tracer("app")
    with tracer.start_as_current_span("GET /"):
        fanlight.set_user("u-42")
        with fanlight.tool("search"):
            pass
    with tracer.start_as_current_span("GET /"), fanlight.tool("other"):
        pass
    assert spans.named("execute_tool search").attributes[names.USER_ID] == "u-42"
    assert names.USER_ID not in spans.named("execute_tool other").attributes


def test_user_set_outside_any_trace_is_said_once(spans: Captured, caplog: pytest.LogCaptureFixture) -> None:
    fanlight.set_user("u-1")
    fanlight.set_user("u-2")
    assert caplog.messages == [
        "fanlight: set_user() was called outside any action; call it inside `with fanlight.action(...)`"
    ]
    with fanlight.action("answer"):
        pass
    assert names.USER_ID not in spans.named("answer").attributes


def test_user_that_is_no_text_is_written_as_text(spans: Captured) -> None:
    with fanlight.action("answer"):
        fanlight.set_user(42)  # type: ignore[arg-type]  # what apps do with database keys
    with fanlight.action("given", user=5):  # type: ignore[call-overload]  # the same
        pass
    assert spans.named("answer").attributes[names.USER_ID] == "42"
    assert spans.named("given").attributes[names.USER_ID] == "5"


def test_origin_and_workload_that_are_none_are_said_once_and_the_defaults_stand(
    spans: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("one", "two"):
        with fanlight.action(name, origin="bogus", workload="evil"):  # type: ignore[call-overload]  # tested
            pass
    for name in ("one", "two"):
        said = spans.named(name).attributes
        assert (said[names.ACTION_ORIGIN], said[names.WORKLOAD]) == ("user", "serving")
    assert caplog.messages == [
        "fanlight: origin='bogus' of an action is none of user, schedule, agent, system; it is taken as user",
        "fanlight: workload='evil' of an action is none of serving, rl_rollout, eval, batch, training; "
        "it is taken as serving",
    ]


def test_exception_passes_unchanged_and_marks_the_span(spans: Captured) -> None:
    error = ValueError("the prompt was: secret")
    with pytest.raises(ValueError, match="secret") as raised, fanlight.action("answer"):
        raise error
    assert raised.value is error
    span = spans.named("answer")
    assert span.status is trace.StatusCode.ERROR
    assert span.attributes["error.type"] == "ValueError"
    assert "secret" not in repr(span)


def test_ordinary_exit_of_the_program_is_no_error(spans: Captured) -> None:
    with pytest.raises(SystemExit), fanlight.action("answer"):
        raise SystemExit(0)
    with pytest.raises(SystemExit), fanlight.action("failing"):
        raise SystemExit(3)
    assert spans.named("answer").status is trace.StatusCode.UNSET
    assert spans.named("failing").attributes["error.type"] == "SystemExit"


def test_attributes_can_be_set_through_opentelemetry(spans: Captured) -> None:
    with fanlight.action("answer"):
        span = trace.get_current_span()
        span.set_attribute("app.key", "value")
        span.set_attributes({"app.number": 7})
        span.update_name("answer it")
    span = spans.named("answer it")
    assert span.attributes["app.key"] == "value"
    assert span.attributes["app.number"] == 7


def test_while_off_nothing_is_recorded_and_nothing_is_current() -> None:
    with fanlight.action("answer", user="u") as span, fanlight.agent("planner"):
        fanlight.set_user("u-2")
        assert not trace.get_current_span().get_span_context().is_valid
        assert not span.is_recording()
        assert fanlight.carrier() == {}
    assert fanlight.flush()


def test_one_step_object_can_be_entered_again_and_nested(spans: Captured) -> None:
    step = fanlight.tool("search")
    with step, step:
        pass
    with step:
        pass
    assert [tree.shape() for tree in spans.trees()] == [
        ("execute_tool search", ["execute_tool search"]),
        "execute_tool search",
    ]


async def test_one_step_object_can_be_entered_by_several_tasks_at_once(spans: Captured) -> None:
    step = fanlight.agent("worker")
    first_may_end, second_has_begun = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with step:
            await first_may_end.wait()
        assert trace.get_current_span().get_span_context() == root.get_span_context()

    async def second() -> None:
        async with step:
            second_has_begun.set()
            await asyncio.sleep(0.05)
            with fanlight.tool("search"):
                pass

    with fanlight.action("answer") as root:
        tasks = [asyncio.create_task(first())]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(second()))
        await second_has_begun.wait()
        first_may_end.set()
        await asyncio.gather(*tasks)
    (tree,) = spans.trees()
    assert tree.shape() == (
        "answer",
        ["invoke_agent worker", ("invoke_agent worker", ["execute_tool search"])],
    )
    one, other = (child.span for child in tree.children)
    assert other.end_time_ns - one.end_time_ns > 0.02e9


def test_after_the_end_nothing_can_be_changed(spans: Captured) -> None:
    with fanlight.action("answer") as span:
        pass
    span.set_status(trace.StatusCode.ERROR, "late")
    span.update_name("late")
    assert (span.name, span.status) == ("answer", trace.StatusCode.UNSET)


def automatic(action_id: str, *, remote: bool = False) -> Context:
    """A context as an automatic entry (a web request, a task) makes it, or as one elsewhere handed it on."""
    if remote:
        return with_cascade(Cascade(Action(action_id, "GET /", source="automatic", user="u-1", remote=True)))
    entry = begin(TaskCaller("GET /"), get_current())
    entry.place.action.id, entry.place.action.user = action_id, "u-1"
    return entry.context


def in_context(there: Context, name: str) -> None:
    token = attach(there)
    with fanlight.action(name):
        pass
    detach(token)


def test_action_inside_an_automatic_one_takes_its_place(spans: Captured) -> None:
    entry = automatic("ab" * 16)
    in_context(entry, "answer")
    span = spans.named("answer")
    assert span.attributes[names.ROLE] == "action"
    assert span.attributes[names.ACTION_ID] == "ab" * 16
    assert span.attributes[names.ACTION_NAME] == "answer"
    assert span.attributes[names.ACTION_SOURCE] == "declared"
    assert span.attributes[names.USER_ID] == "u-1"


def test_second_action_in_one_automatic_entry_is_another_one(spans: Captured) -> None:
    tracer = TracerProvider().get_tracer("app")
    with tracer.start_as_current_span("GET /"):
        entry = automatic("ab" * 16)
        in_context(entry, "first")
        in_context(entry, "second")
    second = spans.named("second")
    assert second.attributes[names.ROLE] == "action"
    assert second.attributes[names.ACTION_ID] not in ("ab" * 16, second.trace_id)


def test_action_in_a_service_that_received_an_automatic_one_is_a_step_of_it(spans: Captured) -> None:
    in_context(automatic("ab" * 16, remote=True), "inner")
    span = spans.named("invoke_agent inner")
    assert span.attributes[names.ACTION_ID] == "ab" * 16
    assert span.attributes[names.ACTION_SOURCE] == "automatic"

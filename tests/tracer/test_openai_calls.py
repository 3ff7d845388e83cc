"""Calls of the openai SDK: one span each, with what the provider says it cost. More: test_situations."""

import enum
import gc
from typing import Any

import pydantic
import pytest

import fanlight
from fanlight._spans import LiveSpan
from fanlight.patches._call import Call, Request
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from sdk_drivers import MESSAGES, Driver
from span_trees import Node, described, plain_call, tokens


class Answer(pydantic.BaseModel):
    answer: str


def test_a_call_says_what_was_asked_and_where(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    client = driver.client(url)
    driver.run(client.chat.completions.create(model="m", messages=MESSAGES, n=3, max_completion_tokens=7))
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [
        plain_call(truth, choices=3, max_tokens=7, finish=("stop", "stop", "stop"))
    ]
    said = captured.spans[0].attributes
    assert said["server.address"] == "127.0.0.1"
    assert said["server.port"] == provider.port
    assert said["gen_ai.provider.name"] == "openai"
    assert str(said["gen_ai.response.id"]).startswith("chatcmpl-")
    assert said["fanlight.wire"] is True


class Model(str, enum.Enum):
    SMALL = "small-1"


def test_a_model_that_is_an_enum_is_its_value_now_and_later(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    """The calls of one model share what they have in common."""
    url = provider.scenario()
    client = driver.client(url)
    for model in (Model.SMALL, "small-1"):
        driver.run(client.chat.completions.create(model=model, messages=MESSAGES))
    provider.truth(url, expect=2)
    assert [(span.name, span.attributes["gen_ai.request.model"]) for span in captured.spans] == [
        ("chat small-1", "small-1")
    ] * 2
    assert {type(span.attributes["gen_ai.request.model"]) for span in captured.spans} == {str}


def test_an_ended_call_leaves_nothing_to_the_garbage_collector(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario()
    client = driver.client(url)
    gc.collect()
    gc.disable()
    before = {id(found) for found in gc.get_objects()}  # litellm's logging keeps contexts of earlier tests
    try:
        driver.run(client.chat.completions.create(model="m", messages=MESSAGES))
        kinds = (Call, Request, LiveSpan)
        left = [found for found in gc.get_objects() if type(found) in kinds and id(found) not in before]
    finally:
        gc.enable()
    provider.truth(url, expect=1)
    assert left == []
    assert len(captured.spans) == 1


def test_a_compressed_answer_is_read(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario(Fault(gzip=True))
    driver.run(driver.client(url).chat.completions.create(model="m", messages=MESSAGES))
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


def test_embeddings_have_inputs_and_no_output(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    client = driver.client(url)
    driver.run(client.embeddings.create(model="m", input=["one two", "three"]))
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [
        Node(
            "embeddings m",
            {
                "model": "m",
                "answered_by": "m",
                "requests": 1,
                "outcome": "answered",
                "http": 200,
                "inputs": 2,
                "usage": "reported",
                "input": truth.input_tokens,
            },
        )
    ]


def test_text_completions_are_calls(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    driver.run(driver.client(url).completions.create(model="m", prompt=["one", "two"]))
    (truth,) = provider.truth(url, expect=1)
    (node,) = described(captured)
    assert node.name == "text_completion m"
    assert node.facts == {
        **plain_call(truth).facts,
        "answered_by": "m",
        "finish": ("length", "length"),
        "inputs": 2,
    }


def test_responses_parse_is_one_call(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    client = driver.client(url)
    got = driver.run(client.responses.parse(model="m", input="one two", text_format=Answer))
    (truth,) = provider.truth(url, expect=1)
    assert got.output_parsed == Answer(answer="yes")
    assert described(captured) == [plain_call(truth)]


def test_what_asks_no_model_is_no_call(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    client = driver.client(url)
    driver.run(client.models.list())
    assert described(captured) == []


def test_a_call_belongs_to_its_action(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    client = driver.client(url)
    with fanlight.action("answer", user="u-1"), fanlight.agent("planner"):
        driver.run(client.chat.completions.create(model="m", messages=MESSAGES))
    (truth,) = provider.truth(url, expect=1)
    (root,) = captured.trees()
    assert root.shape() == ("answer", [("invoke_agent planner", ["chat m"])])
    call = captured.named("chat m")
    assert call.attributes["user.id"] == "u-1"
    assert call.attributes["fanlight.action.id"] == root.span.trace_id
    assert call.attributes["fanlight.hop"] == 1
    assert tokens(truth)["input"] == call.attributes["gen_ai.usage.input_tokens"]


def test_a_call_outside_any_action_is_in_an_inferred_one(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario()
    driver.run(driver.client(url).chat.completions.create(model="m", messages=MESSAGES))
    said = captured.spans[0].attributes
    assert said["fanlight.action.source"] == "inferred"
    assert said["fanlight.action.id"] == captured.spans[0].trace_id


def test_no_text_and_no_key_is_recorded(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    driver.run(driver.client(url).chat.completions.create(model="m", messages=MESSAGES))
    said = repr([(span.name, span.attributes) for span in captured.spans])
    for secret in ("sk-secret", "careful", "window", "word"):
        assert secret not in said


def test_nothing_of_ours_reaches_the_provider(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    with fanlight.action("answer", user="u-1"):
        driver.run(driver.client(url).chat.completions.create(model="m", messages=MESSAGES))
    (truth,) = provider.truth(url, expect=1)
    assert not {"traceparent", "tracestate", "baggage"} & set(truth.headers)
    assert "fanlight" not in repr(truth.headers)


def test_after_uninstrument_nothing_is_recorded_and_nothing_is_replaced(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    from fanlight import patches

    patches.uninstall_all()
    url = provider.scenario()
    driver.run(driver.client(url).chat.completions.create(model="m", messages=MESSAGES))
    assert described(captured) == []


@pytest.mark.parametrize("broken", ["begin", "read"])
def test_an_error_of_the_tracer_never_reaches_the_app(
    provider: Provider, driver: Driver, captured: Captured, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    from fanlight import _guard
    from fanlight.patches import _call, _sends

    def breaks(*_: Any, **__: Any) -> Any:
        raise RuntimeError("ours")

    _guard.raise_errors(False)
    if broken == "begin":
        monkeypatch.setattr(_sends.Send, "begin", breaks)
    else:
        monkeypatch.setattr(_call, "reader_for", breaks)
    url = provider.scenario()
    answer = driver.run(driver.client(url).chat.completions.create(model="m", messages=MESSAGES))
    assert answer.choices[0].message.content
    assert [span.name for span in captured.spans] == ["chat m"]

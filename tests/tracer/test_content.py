"""What was said is kept only where the app opts in: of the attributes that it names, cut and redacted."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

import fanlight
from fanlight import _guard
from fanlight._config import read_config
from fanlight._runtime import runtime
from fanlight.capture.content import ContentPolicy, Redact
from fanlight.testing import Captured, EndedSpan
from fanlight_schema.attributes import CONTENT, INPUT_MESSAGES, OUTPUT_MESSAGES
from mock_provider import Fault, Provider
from otlp_receiver import OtlpReceiver, attributes_of
from sdk_drivers import MESSAGES, Driver, SyncDriver

Opt = Callable[..., None]
ASKED = [
    {"role": message["role"], "parts": [{"type": "text", "content": message["content"]}]}
    for message in MESSAGES
]


@pytest.fixture
def opt_in(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> Opt:
    def opt_in(*attributes: str, limit_chars: int = 8192, redact: Redact | None = None) -> None:
        monkeypatch.setattr(runtime, "content", ContentPolicy(frozenset(attributes), limit_chars, redact))

    return opt_in


def ask(driver: Driver, url: str, **options: Any) -> Any:
    return driver.run(driver.client(url).chat.completions.create(model="m", messages=MESSAGES, **options))


def kept(span: EndedSpan) -> dict[str, Any]:
    return {name: json.loads(str(span.attributes[name])) for name in CONTENT if name in span.attributes}


def said(span: EndedSpan) -> str:
    (message,) = kept(span)[OUTPUT_MESSAGES]
    assert message["role"] == "assistant"
    return "".join(part["content"] for part in message["parts"])


def test_without_opting_in_nothing_that_was_said_is_in_any_span(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    answer = ask(driver, provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault()))
    driver.take(ask(driver, provider.scenario(Fault()), stream=True))
    everything = repr([(span.name, span.attributes, span.status) for span in captured.spans])
    texts = [*(message["content"] for message in MESSAGES), answer.choices[0].message.content, "sk-secret"]
    assert [text for text in texts if text in everything] == []


def test_messages_and_answer_are_kept_once_on_the_call(
    provider: Provider, driver: Driver, captured: Captured, opt_in: Opt
) -> None:
    opt_in(*CONTENT)
    answer = ask(driver, provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault()))
    (call,) = captured.with_role("call")
    assert kept(call)[INPUT_MESSAGES] == ASKED
    assert said(call) == answer.choices[0].message.content
    assert [kept(request) for request in captured.with_role("request")] == [{}, {}]


@pytest.mark.parametrize("count", [None, 5], ids=["whole", "broken off"])
def test_of_a_stream_what_was_seen_is_kept(
    provider: Provider, driver: Driver, captured: Captured, opt_in: Opt, count: int | None
) -> None:
    opt_in(OUTPUT_MESSAGES)
    stream = ask(driver, provider.scenario(Fault(pace_s=0.01)), stream=True)
    chunks = driver.take(stream, count)
    driver.run(stream.close())
    (call,) = captured.with_role("call")
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said(call).startswith(text)
    assert count or said(call) == text
    assert INPUT_MESSAGES not in call.attributes


def test_each_text_is_redacted_and_all_together_keep_to_the_limit(
    provider: Provider, driver: Driver, captured: Captured, opt_in: Opt
) -> None:
    opt_in(INPUT_MESSAGES, limit_chars=40, redact=lambda text: text.replace("careful", "[...]"))
    ask(driver, provider.scenario(Fault()))
    (call,) = captured.with_role("call")
    parts = [part for message in kept(call)[INPUT_MESSAGES] for part in message["parts"]]
    assert parts.pop()["type"] == "fanlight.cut"
    texts = [part["content"] for part in parts]
    assert texts[0] == "You are a [...] assistant."
    assert len("".join(texts)) == 40
    assert texts[1].endswith("…")


def test_a_redaction_that_fails_keeps_nothing_and_the_call_is_counted(
    provider: Provider, driver: Driver, captured: Captured, opt_in: Opt
) -> None:
    def fail(text: str) -> str:
        raise ValueError("no")

    opt_in(*CONTENT, redact=fail)
    _guard.raise_errors(False)
    ask(driver, provider.scenario(Fault()))
    (call,) = captured.with_role("call")
    assert kept(call) == {}
    assert call.attributes["gen_ai.usage.output_tokens"] == 25


def test_only_attributes_that_there_are_can_be_named(caplog: pytest.LogCaptureFixture) -> None:
    config = read_config({"FANLIGHT_CONTENT": f"{INPUT_MESSAGES}, prompts"})
    assert config.content == {INPUT_MESSAGES}
    assert "prompts" in caplog.text
    assert OUTPUT_MESSAGES in caplog.text
    assert read_config({}).content == frozenset()


def test_what_was_said_is_sent_but_never_lies_in_the_spool(
    provider: Provider, collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FANLIGHT_CONTENT", ",".join(CONTENT))
    monkeypatch.setenv("FANLIGHT_SPOOL_DIR", str(tmp_path))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    fanlight.instrument()
    driver = SyncDriver()
    answer = ask(driver, provider.scenario(Fault()))
    driver.close()
    texts = [*(message["content"] for message in MESSAGES), answer.choices[0].message.content]
    spooled = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"fanlight.action.id" in spooled
    assert [text for text in texts if text.encode() in spooled] == []
    assert fanlight.flush()
    sent = repr(collector.spans)
    assert [text for text in texts if text not in sent] == []


@pytest.mark.parametrize("limit_chars", [8_192, 10**6])
def test_a_very_long_history_is_sent_as_json_that_says_where_it_was_cut(
    provider: Provider, collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, limit_chars: int
) -> None:
    monkeypatch.setenv("FANLIGHT_CONTENT", INPUT_MESSAGES)
    monkeypatch.setenv("FANLIGHT_CONTENT_LIMIT_CHARS", str(limit_chars))
    fanlight.instrument()
    history = [{"role": "user", "content": f"{number:05}"} for number in range(5_000)]
    driver = SyncDriver()
    driver.client(provider.scenario(Fault())).chat.completions.create(model="m", messages=history)
    driver.close()
    assert fanlight.flush()
    (call,) = [
        attributes for attributes in map(attributes_of, collector.spans) if INPUT_MESSAGES in attributes
    ]
    messages = json.loads(str(call[INPUT_MESSAGES]))
    told = messages[-1]["parts"].pop()
    assert told == {"type": "fanlight.cut", "messages": 5_000 - len(messages)}
    texts = [part["content"] for message in messages for part in message["parts"]]
    assert texts[:-1] == [f"{number:05}" for number in range(len(texts) - 1)]
    assert len(texts) > 1_000


def test_spans_of_other_tracers_never_lie_in_the_spool(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They may hold prompts: OpenInference and OpenLLMetry write them by default."""
    monkeypatch.setenv("FANLIGHT_SPOOL_DIR", str(tmp_path))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    provider = TracerProvider()
    fanlight.instrument(provider)
    with fanlight.action("ask"), provider.get_tracer("openinference").start_as_current_span("llm") as span:
        span.set_attribute("input.value", "my secret question")
    spooled = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"fanlight.action.id" in spooled
    assert b"my secret question" not in spooled
    assert fanlight.flush()
    assert "my secret question" in repr(collector.spans)


def test_what_an_open_step_says_of_texts_never_lies_in_the_spool(
    provider: Provider, collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FANLIGHT_SPOOL_DIR", str(tmp_path))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    fanlight.instrument()
    driver = SyncDriver()
    seen = b""
    with fanlight.agent("planner") as step:
        step.set_attribute(INPUT_MESSAGES, "my secret question")
        ask(driver, provider.scenario(Fault()))
        seen = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    driver.close()
    assert b"invoke_agent planner" in seen
    assert b"my secret question" not in seen

"""Usage of streams that is asked for where the user named the host; the app sees the stream as without it."""

from typing import Any

import openai
import pytest

import fanlight
from fanlight import patches
from fanlight._config import read_config, usage_hosts
from fanlight._runtime import runtime
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from sdk_drivers import MESSAGES, Driver
from span_trees import described, plain_call, stream_call

BODY: dict[str, Any] = {"model": "m", "messages": MESSAGES, "stream": True}


@pytest.fixture
def asking(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> Captured:
    """The mock provider's host is named."""
    patches.uninstall_all()
    monkeypatch.setattr(runtime, "include_usage", usage_hosts("127.0.0.1"))
    patches.install_all()
    return captured


def texts(chunks: list[Any]) -> list[Any]:
    return [chunk.choices[0].delta.content for chunk in chunks]


def streamed(truth: Any, **facts: Any) -> Any:
    whole = {"stream": True, "stream_end": "completed", "chunks": truth.events_sent}
    return plain_call(truth).but(**{**whole, **facts})


def test_a_stream_reports_its_usage_and_looks_as_without(
    provider: Provider, driver: Driver, asking: Captured
) -> None:
    url = provider.scenario()
    seen = texts(driver.take(driver.run(driver.client(url).chat.completions.create(**BODY))))
    (truth,) = provider.truth(url, expect=1)
    assert described(asking) == [streamed(truth)]
    patches.uninstall_all()
    unasked = driver.take(driver.run(driver.client(provider.scenario()).chat.completions.create(**BODY)))
    assert seen == texts(unasked)


def test_legacy_completions_are_asked_too(provider: Provider, driver: Driver, asking: Captured) -> None:
    url = provider.scenario()
    stream = driver.run(driver.client(url).completions.create(model="m", prompt="one two", stream=True))
    assert all(chunk.choices for chunk in driver.take(stream))
    (call,) = described(asking)
    assert call.facts["usage"] == "reported"


def test_every_try_asks(provider: Provider, driver: Driver, asking: Captured) -> None:
    failed = Fault(status=500, headers={"retry-after-ms": "1"})
    url = provider.scenario(failed, Fault())
    client = driver.client(url, max_retries=1)
    assert len(texts(driver.take(driver.run(client.chat.completions.create(**BODY))))) == 27
    first, second = provider.truth(url, expect=2)
    assert first.body_bytes == second.body_bytes
    (call,) = described(asking)
    assert (call.facts["requests"], call.facts["usage"]) == (2, "reported")


def test_the_stream_helper_looks_as_without(provider: Provider, driver: Driver, asking: Captured) -> None:
    client = driver.client(provider.scenario())

    def read(stream: Any) -> list[str]:
        return [event.type for event in driver.take(stream)]

    def ask() -> list[str]:
        manager = client.chat.completions.stream(model="m", messages=MESSAGES)
        kinds: list[str] = driver.within(manager, read)
        return kinds

    with_usage = ask()
    patches.uninstall_all()
    assert with_usage == ask()


@pytest.mark.parametrize("said", [{"include_usage": False}, {"include_obfuscation": False}, None])
def test_what_the_app_says_stands(
    provider: Provider, driver: Driver, asking: Captured, said: dict[str, Any] | None
) -> None:
    url = provider.scenario()
    driver.take(driver.run(driver.client(url).chat.completions.create(**BODY, stream_options=said)))
    (truth,) = provider.truth(url, expect=1)
    assert described(asking) == [stream_call(truth, "completed", chunks=25)]


def test_what_the_app_asks_for_it_gets(provider: Provider, driver: Driver, asking: Captured) -> None:
    asked = {**BODY, "stream_options": {"include_usage": True}}
    last = driver.take(driver.run(driver.client(provider.scenario()).chat.completions.create(**asked)))[-1]
    assert (last.choices, last.usage.completion_tokens) == ([], 25)


def test_other_hosts_are_not_asked(
    provider: Provider, driver: Driver, asking: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "include_usage", usage_hosts("known"))
    driver.take(driver.run(driver.client(provider.scenario()).chat.completions.create(**BODY)))
    (call,) = described(asking)
    assert call.facts["usage"] == "estimated"


def test_a_raw_response_is_left_alone(provider: Provider, driver: Driver, asking: Captured) -> None:
    client = driver.client(provider.scenario())
    raw = driver.run(client.chat.completions.with_raw_response.create(**BODY))
    driver.take(driver.run(raw.parse()))
    (call,) = described(asking)
    assert call.facts["usage"] == "estimated"


def test_one_wrapped_client_asks(provider: Provider, driver: Driver, asking: Captured) -> None:
    patches.uninstall_all()
    client = driver.client(provider.scenario())
    patches.wrap_client(client)
    stream = driver.run(client.chat.completions.create(**BODY))
    assert all(chunk.choices for chunk in driver.take(stream))
    (call,) = described(asking)
    assert call.facts["usage"] == "reported"
    patches.uninstall_all()
    assert "request" not in vars(client)


def test_a_stream_broken_out_of_is_ended(provider: Provider, driver: Driver, asking: Captured) -> None:
    url = provider.scenario(Fault(hang_after=8))
    stream = driver.run(driver.client(url).chat.completions.create(**BODY))
    driver.take(stream, 5)
    del stream
    driver.collect_garbage()
    (call,) = described(asking)
    assert call.facts["stream_end"] in ("closed", "abandoned")  # as without
    assert call.facts["output"] >= 4


def test_no_class_is_touched_where_no_host_is_named(captured: Captured) -> None:
    kinds = (openai._base_client.SyncAPIClient, openai._base_client.AsyncAPIClient)
    watched = [vars(kind)["request"].__wrapped__ for kind in kinds]
    patches.uninstall_all()
    assert watched == [vars(kind)["request"] for kind in kinds]


def test_the_argument_stands_for_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANLIGHT_INCLUDE_USAGE", "one.internal:8000")
    fanlight.instrument(export=False)
    assert runtime.include_usage == usage_hosts("one.internal:8000")
    fanlight.uninstrument()
    fanlight.instrument(export=False, include_usage="known, *.internal")
    assert [host.name for host in runtime.include_usage][-1] == "internal"
    assert runtime.include_usage[:-1] == usage_hosts("known")
    fanlight.uninstrument()


def test_a_host_that_is_none_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    assert read_config({"FANLIGHT_INCLUDE_USAGE": "http://a"}).include_usage == ()
    assert "FANLIGHT_INCLUDE_USAGE holds 'http://a', which is no host" in caplog.messages[0]

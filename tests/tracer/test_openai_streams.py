"""Streams end their span exactly once, with what was seen until then. More: test_situations."""

import asyncio
import gc
import threading
import time
from typing import Any

import openai
import pytest

import fanlight
from fanlight import patches
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from sdk_drivers import MESSAGES, Driver, SyncDriver
from span_trees import described, stream_call

ASK: dict[str, Any] = {"model": "m", "messages": MESSAGES}


def begin(driver: Driver, url: str, **more: Any) -> Any:
    return driver.run(driver.client(url).chat.completions.create(**ASK, stream=True, **more))


def test_a_stream_says_when_its_first_token_came(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario(Fault(delay_s=0.15, pace_s=0.01))
    driver.take(begin(driver, url))
    (span,) = captured.spans
    assert 0.15 < float(str(span.attributes["gen_ai.response.time_to_first_chunk"])) < 0.4
    assert span.end_time_ns - span.start_time_ns >= 0.15e9 + 25 * 0.01e9


def test_waiting_for_the_consumer_is_kept_apart(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario(Fault(pace_s=0))
    stream = begin(driver, url)
    driver.take(stream, 1)
    time.sleep(0.3)
    driver.take(stream)
    (span,) = captured.spans
    assert 0.3 <= float(str(span.attributes["fanlight.stream.consumer_wait"])) < 0.6


def test_a_closed_stream(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario(Fault(pace_s=0.005))
    stream = begin(driver, url)
    driver.take(stream, 9)
    driver.run(stream.close())
    assert len(captured.spans) == 1
    driver.run(stream.close())
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [stream_call(truth, "closed", finish=None, chunks=8, output=8)]


def test_a_stream_still_held_at_the_end_of_the_process(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario()
    stream = begin(driver, url)
    driver.take(stream, 9)
    patches.end_open_calls()
    (call,) = described(captured)
    assert call.facts["stream_end"] == "abandoned"
    assert call.facts["outcome"] == "answered"
    assert call.facts["output"] >= 8
    driver.take(stream)
    assert len(captured.spans) == 1


def test_a_stream_that_stalls_times_out(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario(Fault(hang_after=4))
    client = driver.client(url, timeout=0.2)
    stream = driver.run(client.chat.completions.create(**ASK, stream=True))
    with pytest.raises(Exception) as caught:  # noqa: PT011  (2.x raises httpx's own)
        driver.take(stream)
    assert "Timeout" in type(caught.value).__name__
    (call,) = described(captured)
    assert call.facts["stream_end"] == "error"
    assert call.facts["error"] == "ReadTimeout"
    assert call.facts["outcome"] == "unknown"
    assert call.facts["output"] == 4


def test_an_async_stream_left_open_by_its_loop(provider: Provider, captured: Captured) -> None:
    url = provider.scenario(Fault(pace_s=0.005))

    async def breaking() -> None:
        async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
            stream: Any = await client.chat.completions.create(**ASK, stream=True)
            async for chunk in stream:
                if chunk.choices[0].delta.content:
                    break

    asyncio.run(breaking())
    gc.collect()
    (call,) = described(captured)
    assert call.facts["output"] == 1


def test_streamed_text_completions(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    client = driver.client(url)
    driver.take(driver.run(client.completions.create(model="m", prompt="one", stream=True)))
    (truth,) = provider.truth(url, expect=1)
    (call,) = described(captured)
    assert call.facts["output"] == truth.output_tokens
    assert call.facts["finish"] == ("length",)


def test_a_retried_stream_has_its_tokens_on_the_answered_try(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault())
    driver.take(begin(driver, url, stream_options={"include_usage": True}))
    truth = provider.truth(url, expect=2)
    (call,) = described(captured)
    assert call.facts["requests"] == 2
    first, second = call.below
    assert first.facts["error"] == "500"
    assert second.facts["output"] == call.facts["output"] == truth[1].output_tokens
    assert second.facts["stream_end"] == "completed"


def test_an_open_stream_is_not_the_parent_of_what_comes_next(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario()
    client = driver.client(url)
    with fanlight.action("answer"):
        stream = driver.run(client.chat.completions.create(**ASK, stream=True))
        driver.take(stream, 2)
        driver.run(client.embeddings.create(model="e", input="one"))
        driver.take(stream)
    (root,) = captured.trees()
    assert root.shape() == ("answer", ["chat m", "embeddings e"])


def test_a_stream_that_ends_after_its_action_still_belongs_to_it(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario()
    with fanlight.action("answer"):
        stream = begin(driver, url)
    driver.take(stream)
    (root,) = captured.trees()
    assert root.shape() == ("answer", ["chat m"])


def test_two_threads_that_close_one_stream_end_it_once(provider: Provider, captured: Captured) -> None:
    url = provider.scenario(Fault(pace_s=0.005))
    driver = SyncDriver()
    stream = begin(driver, url)
    driver.take(stream, 3)
    threads = [threading.Thread(target=stream.response.close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    driver.close()
    assert len(captured.spans) == 1


def test_chunks_are_not_held_back(provider: Provider, driver: Driver, captured: Captured) -> None:
    stream = begin(driver, provider.scenario(Fault(pace_s=0.03)))
    driver.take(stream, 1)
    first = time.monotonic()
    driver.take(stream, 8)
    assert time.monotonic() - first > 7 * 0.03
    driver.run(stream.close())

"""Streams of every SDK end their span exactly once, however they end, with what was seen until then."""

import asyncio
import contextlib
import gc
from typing import Any

import pytest

import fanlight
from fanlight import patches
from fanlight.testing import Captured
from mock_provider import Asked, Fault, Provider
from sdk_drivers import AsyncDriver
from sdks import Sdk
from span_trees import Node, described, plain_call, said

SEEN = 8  # events with text that the consumer takes before it leaves
SLOWLY = Fault(pace_s=0.005)  # so that they come one by one


def streamed(sdk: Sdk, truth: Asked, **facts: Any) -> Node:
    """A stream that was read to its end."""
    node = Node(f"{sdk.operation} m", plain_call(truth).facts)
    whole = {"stream": True, "stream_end": "completed", "chunks": truth.events_sent}
    return node.but(**{**whole, **sdk.asks, **facts})


def broken(sdk: Sdk, truth: Asked, end: str, events: int, **facts: Any) -> Node:
    """A stream of which `events` with text have come."""
    known = dict.fromkeys(said(truth)) | sdk.partial(truth, events)
    return streamed(sdk, truth, **{**known, "stream_end": end, "chunks": events, **facts})


def ended(captured: Captured) -> tuple[str, Node]:
    """How the only stream ended, and all else of it."""
    (call,) = described(captured)
    return str(call.facts["stream_end"]), call


def take(sdk: Sdk, stream: Any, events: int = SEEN) -> None:
    sdk.driver.take(stream, sdk.lead + events)


def test_a_stream_read_to_its_end(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(end=sdk.end)
    sdk.driver.take(sdk.stream(sdk.client(url)))
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [streamed(sdk, truth)]


def test_a_stream_broken_out_of(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(SLOWLY, end=sdk.end)
    client = sdk.client(url)
    stream = sdk.stream(client)
    take(sdk, stream)
    del stream
    sdk.driver.collect_garbage()
    (truth,) = provider.truth(url, expect=1)
    end, call = ended(captured)
    assert end in ("closed", "abandoned")
    assert call == broken(sdk, truth, end, SEEN)


def test_a_closed_stream(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(SLOWLY, end=sdk.end)
    stream = sdk.stream(sdk.client(url))
    take(sdk, stream)
    sdk.close(stream)
    sdk.driver.collect_garbage()
    (truth,) = provider.truth(url, expect=1)
    end, call = ended(captured)
    assert end in ("closed", "abandoned")
    assert call == broken(sdk, truth, end, SEEN)


def test_a_stream_that_the_server_cuts(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(Fault(cut_after=SEEN), end=sdk.end)
    stream = sdk.stream(sdk.client(url))
    with pytest.raises(Exception):  # noqa: B017, PT011  (every SDK has its own)
        sdk.driver.take(stream)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [
        broken(sdk, truth, "cut", SEEN, outcome="unknown", error="RemoteProtocolError")
    ]


def test_a_stream_that_stalls(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(Fault(hang_after=SEEN), end=sdk.end)
    stream = sdk.stream(sdk.client(url, timeout_s=0.3))
    with pytest.raises(Exception):  # noqa: B017, PT011  (every SDK has its own)
        sdk.driver.take(stream)
    (call,) = described(captured)
    assert (call.facts["stream_end"], call.facts["error"]) == ("error", "ReadTimeout")
    assert (call.facts["outcome"], call.facts["chunks"]) == ("unknown", SEEN)


def test_a_cancelled_stream(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    if not isinstance(sdk.driver, AsyncDriver):
        pytest.skip("only a task can be cancelled")
    url = provider.scenario(Fault(hang_after=SEEN), end=sdk.end)
    client = sdk.client(url)

    async def cancelling() -> None:
        stream = sdk.begin(client, stream=True)
        if hasattr(stream, "__await__"):
            stream = await stream

        async def read() -> None:
            async for _ in stream:
                pass

        task = asyncio.create_task(read())
        await asyncio.sleep(0.3)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    sdk.driver.run(cancelling())
    (call,) = described(captured)
    assert (call.facts["stream_end"], call.facts["error"]) == ("cancelled", "CancelledError")
    assert (call.facts["outcome"], call.facts["chunks"]) == ("unknown", SEEN)


def test_a_stream_that_is_never_read(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(end=sdk.end)
    stream = sdk.stream(sdk.client(url))
    assert captured.spans == []
    del stream
    sdk.driver.collect_garbage()
    if sdk.lazy:
        assert (described(captured), provider.truth(url)) == ([], [])
        return
    (call,) = described(captured)
    assert (call.facts["requests"], call.facts["outcome"]) == (1, "unknown")
    assert "output" not in call.facts


def test_a_stream_that_is_held_until_tracing_ends(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(SLOWLY, end=sdk.end)
    stream = sdk.stream(sdk.client(url))
    take(sdk, stream)
    patches.end_open_calls()
    end, call = ended(captured)
    assert (end, call.facts["chunks"]) == ("abandoned", SEEN)
    sdk.driver.take(stream)
    gc.collect()
    assert len(captured.spans) == 1


def test_a_retried_stream_is_one_call(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    if not (sdk.retries and sdk.retries_streams):
        pytest.skip(f"{sdk.name} does not try a stream again")
    url = provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault(), end=sdk.end)
    sdk.driver.take(sdk.stream(sdk.client(url, retries=1)))
    truth = provider.truth(url, expect=2)
    (call,) = described(captured)
    assert call.facts == streamed(sdk, truth[1], requests=2, outcome=None, http=None).facts
    first, second = call.below
    assert (first.facts["error"], second.facts["stream_end"]) == ("500", "completed")
    assert {key: second.facts[key] for key in said(truth[1])} == said(truth[1])


def test_a_stream_that_ends_after_its_action(provider: Provider, sdk: Sdk, captured: Captured) -> None:
    url = provider.scenario(end=sdk.end)
    with fanlight.action("answer"):
        stream = sdk.stream(sdk.client(url))
        sdk.driver.take(stream, 1)
    sdk.driver.take(stream)
    (root,) = captured.trees()
    assert root.shape() == ("answer", [f"{sdk.operation} m"])

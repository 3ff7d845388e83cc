"""Other clients and transports of the openai SDK, and calls that are open when the process ends."""

import asyncio
import importlib.util
import sys
from typing import Any

import openai
import pytest

from fanlight import patches
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from programs import run_python
from sdk_drivers import MESSAGES, Driver, SyncDriver, http_library
from span_trees import described, plain_call

ASK: Any = {"model": "m", "messages": MESSAGES}
AZURE: Any = {"api_version": "2026-01-01", "api_key": "k"}


def test_azure_is_a_call_of_its_deployment(provider: Provider, captured: Captured) -> None:
    url = provider.scenario(end="")
    with openai.AzureOpenAI(azure_endpoint=url, **AZURE) as client:
        client.chat.completions.create(**ASK)
    (truth,) = provider.truth(url, expect=1)
    assert truth.path == "/openai/deployments/m/chat/completions"
    assert described(captured) == [plain_call(truth)]


async def test_azure_async_is_a_call_of_its_deployment(provider: Provider, captured: Captured) -> None:
    url = provider.scenario(end="")
    async with openai.AsyncAzureOpenAI(azure_endpoint=url, **AZURE) as client:
        await client.chat.completions.create(**ASK)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


def test_the_module_level_client_is_traced(
    provider: Provider, captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = provider.scenario()
    monkeypatch.setattr(openai, "api_key", "k")
    monkeypatch.setattr(openai, "base_url", f"{url}/")  # the module, unlike a client, wants the slash
    openai.chat.completions.create(**ASK)
    openai._client.close()  # type: ignore[attr-defined, union-attr]
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


@pytest.mark.skipif(
    openai.VERSION < "3" or importlib.util.find_spec("httpx") is None,
    reason="openai 3 takes clients of both httpx and httpx2",
)
def test_the_other_http_library_under_the_sdk(provider: Provider, captured: Captured) -> None:
    import httpx

    url = provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault())
    driver = SyncDriver()
    driver.client(url, http_client=httpx.Client()).chat.completions.create(**ASK)
    driver.close()
    (call,) = described(captured)
    assert call.facts["requests"] == len(call.below) == 2


def test_a_proxy_with_paths_of_its_own_is_no_hiding_place(captured: Captured) -> None:
    httpx = http_library()

    def to_proxy(request: Any) -> None:
        request.url = request.url.copy_with(path="/proxy/7")

    def handle(request: Any) -> Any:
        return httpx.Response(200, json={"id": "c", "choices": [], "usage": {"prompt_tokens": 5}})

    hooks = {"request": [to_proxy]}
    http = httpx.Client(transport=httpx.MockTransport(handle), event_hooks=hooks)
    with openai.OpenAI(base_url="http://model/v1", api_key="k", http_client=http) as client:
        client.chat.completions.create(**ASK)
    (call,) = described(captured)
    assert (call.facts["requests"], call.facts["input"]) == (1, 5)


def test_a_token_fetched_inside_a_call_is_no_request_of_it(provider: Provider, captured: Captured) -> None:
    httpx = http_library()
    tokens = provider.scenario(end="/oauth/token")
    url = provider.scenario()

    def fetch_token() -> str:
        return str(httpx.post(tokens, json={"grant_type": "client_credentials"}).status_code)

    with openai.OpenAI(base_url=url, api_key=fetch_token) as client:
        client.chat.completions.create(**ASK)
    (truth,) = provider.truth(url, expect=1)
    assert truth.headers["authorization"] == "Bearer 404"
    assert described(captured) == [plain_call(truth)]


def test_an_open_stream_is_recorded_when_tracing_is_switched_off(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario(Fault(pace_s=0.005))
    stream = driver.run(driver.client(url).chat.completions.create(**ASK, stream=True))
    driver.take(stream, 5)
    patches.uninstall_all()
    (call,) = described(captured)
    assert call.facts["stream_end"] == "abandoned"
    assert call.facts["output"] >= 4
    driver.take(stream)
    assert len(captured.spans) == 1


ENDING = """
    import atexit, threading, time
    import fanlight, fanlight.testing

    def tell():
        for span in spans.spans:
            facts = span.attributes
            print(span.name, facts.get("error.type"), facts.get("gen_ai.usage.output_tokens"))

    fanlight.instrument(export=False)
    capturing = fanlight.testing.capture()
    spans = capturing.__enter__()
    atexit._clear()
    atexit.register(tell)
    from fanlight import patches
    atexit.register(patches.end_open_calls)
    from openai import OpenAI
    client = OpenAI(base_url={url!r}, api_key="k", max_retries=0)
    def ask(**more):
        return client.chat.completions.create(model="m", messages=[], **more)
"""


IN_FLIGHT = """threading.Thread(target=ask, daemon=True).start()
    while not any(call.requests for call in patches._call.open_calls.values()): time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("ask()", "chat m None 25\n"),
        pytest.param(
            "stream = ask(stream=True); [next(stream) for _ in range(4)]",
            "chat m None 3\n",
            marks=pytest.mark.skipif(
                sys.version_info[:3] == (3, 13, 0),
                reason="CPython 3.13.0 crashes there without us too",
            ),
        ),
        ("stream = ask(stream=True)", "chat m None None\n"),
        (IN_FLIGHT, "chat m abandoned None\n"),
    ],
    ids=["plain", "held", "never read", "in flight"],
)
def test_what_is_open_when_the_process_ends_is_recorded(provider: Provider, how: str, told: str) -> None:
    fault = Fault(delay_s=5) if how is IN_FLIGHT else Fault(pace_s=0.02)
    assert run_python(ENDING.format(url=provider.scenario(fault)) + f"    {how}\n") == told


def test_a_fork_does_not_end_the_streams_of_its_parent(provider: Provider) -> None:
    code = """
    import os
    import fanlight.testing
    from fanlight import patches
    from openai import OpenAI
    patches.install_all()
    with fanlight.testing.capture() as spans, OpenAI(base_url={url!r}, api_key="k") as client:
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
        next(stream)
        child = os.fork()
        if child == 0:
            patches.end_open_calls()
            os._exit(len(spans.spans))
        status = os.waitpid(child, 0)[1]
        list(stream)
    print(status, len(spans.spans))
    """
    assert run_python(code.format(url=provider.scenario())) == "0 1\n"


async def test_a_coroutine_that_is_dropped_ends_its_call(provider: Provider, captured: Captured) -> None:
    url = provider.scenario(Fault(delay_s=1))
    client = openai.AsyncOpenAI(base_url=url, api_key="k", max_retries=0)
    asking = client.chat.completions.create(**ASK)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asking, 0.1)
    await client.close()
    (call,) = described(captured)
    assert call.facts["error"] == "CancelledError"

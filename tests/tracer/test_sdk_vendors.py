"""The SDKs' clients of clouds (Bedrock, Vertex, Azure, Foundry): each call is one span, as elsewhere."""

from collections.abc import Iterator
from typing import Any

import pytest

from fanlight import patches
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from sdk_drivers import AsyncDriver, Driver, SyncDriver
from sdk_vendors import VENDORS
from sdks import PROMPT, GoogleSdk
from span_trees import Node, described, plain_call, said

# What these SDKs are warned of by aiohttp and pydantic.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")

FORMS = [
    (kind, form)
    for kind in VENDORS
    for form in ((AsyncDriver,) if hasattr(kind, "async_only") else (SyncDriver, AsyncDriver))
]


@pytest.fixture(params=FORMS, ids=[f"{kind.__name__}-{form.__name__}" for kind, form in FORMS])
def vendor(request: pytest.FixtureRequest) -> Iterator[Any]:
    kind, form = request.param
    if not kind.available():
        pytest.skip(f"the installed SDK has no {kind.__name__}")
    driver = form()
    yield kind(driver)
    driver.close()


def whole(vendor: Any, truth: Any, **facts: Any) -> Node:
    return Node(f"{vendor.operation} m", plain_call(truth).facts).but(**vendor.asks, **facts)


def test_a_plain_call_is_one_span(provider: Provider, vendor: Any, captured: Captured) -> None:
    url = provider.scenario(end=vendor.end)
    vendor.ask(vendor.client(url))
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [whole(vendor, truth)]


def test_a_stream_is_one_span(provider: Provider, vendor: Any, captured: Captured) -> None:
    url = provider.scenario(end=vendor.end)
    vendor.driver.take(vendor.stream(vendor.client(url)))
    (truth,) = provider.truth(url, expect=1)
    assert truth.complete
    assert described(captured) == [
        whole(vendor, truth, stream=True, stream_end="completed", chunks=truth.events_sent)
    ]


def test_every_try_is_a_request_of_one_call(provider: Provider, vendor: Any, captured: Captured) -> None:
    failed = Fault(status=500, headers={"retry-after-ms": "1"})
    url = provider.scenario(failed, Fault(), end=vendor.end)
    vendor.ask(vendor.client(url, retries=1))
    tries = provider.truth(url, expect=2)
    (call,) = described(captured)
    assert call.facts["requests"] == 2
    assert [below.facts["http"] for below in call.below] == [asked.status for asked in tries] == [500, 200]
    assert call.facts["output"] == tries[1].output_tokens


def test_one_wrapped_client_has_its_tries_in_one_call(
    provider: Provider, vendor: Any, captured: Captured
) -> None:
    patches.uninstall_all()
    failed = Fault(status=500, headers={"retry-after-ms": "1"})
    url = provider.scenario(failed, Fault(), end=vendor.end)
    vendor.ask(patches.wrap_client(vendor.client(url, retries=1)))
    assert len(provider.truth(url, expect=2)) == 2
    assert [call.facts["requests"] for call in described(captured)] == [2]


def test_google_s_interactions_have_their_tries_in_one_call(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    """They are sent by another SDK within google-genai, from 3.0 on."""
    pytest.importorskip("google.genai._gaos")
    url = provider.scenario(Fault(status=500, headers={"retry-after-ms": "1"}), Fault(), end="")
    client = GoogleSdk(driver).client(url, retries=1)
    made = client.aio if isinstance(driver, AsyncDriver) else client
    driver.run(made.interactions.create(model="m", input="one two"))
    _, answered = provider.truth(url, expect=2)
    (call,) = described(captured)
    assert call.name == "chat m"
    assert call.facts == {"model": "m", "requests": 2, **said(answered)}
    assert [below.facts["http"] for below in call.below] == [500, 200]


def test_counting_tokens_at_vertex_asks_no_model(provider: Provider, captured: Captured) -> None:
    kind = next(kind for kind in VENDORS if kind.__name__ == "AnthropicVertex")
    driver = SyncDriver()
    client = kind(driver).client(provider.scenario(end=""))
    counted = client.messages.count_tokens(model="m", messages=[{"role": "user", "content": PROMPT}])
    assert counted.input_tokens
    driver.close()
    assert described(captured) == []

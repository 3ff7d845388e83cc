"""Calls that take several requests, or fail: every physical request is seen, the call is counted once."""

from typing import Any

import openai
import pytest

from fanlight.testing import Captured
from mock_provider import Fault, Provider
from sdk_drivers import MESSAGES, AsyncDriver, Driver, SyncDriver, http_library
from span_trees import Node, answered_request, described, estimated, failed_request, plain_call, request_of

QUICKLY = {"retry-after-ms": "1"}  # the SDK's own, so that a retry does not wait half a second
FAILED = Fault(status=500, headers=QUICKLY)


def create(driver: Driver, url: str, **options: Any) -> Any:
    client = driver.client(url, **options)
    return driver.run(client.chat.completions.create(model="m", messages=MESSAGES))


@pytest.mark.parametrize("status", [500, 502, 408, 409])
def test_every_try_of_a_retried_call_is_a_child(
    provider: Provider, driver: Driver, captured: Captured, status: int
) -> None:
    url = provider.scenario(Fault(status=status, headers=QUICKLY), FAILED, Fault())
    create(driver, url)
    truth = provider.truth(url, expect=3)
    assert [asked.status for asked in truth] == [status, 500, 200]
    first: dict[str, Any] = {"http": status, "outcome": "refused", "error": str(status)}
    if status >= 500:
        first |= {"outcome": "unknown", **estimated(truth[0])}
    assert described(captured) == [
        Node(
            "chat m",
            plain_call(truth[2]).but(requests=3, outcome=None, http=None).facts,
            below=(
                request_of(url, 0, truth[0], **first),
                failed_request(url, 1, truth[1]),
                answered_request(url, 2, truth[2]),
            ),
        )
    ]


def test_back_off_is_no_request_time(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario(Fault(status=429, headers={"retry-after": "0.3"}), Fault(delay_s=0.1))
    create(driver, url)
    first, second = sorted(captured.with_role("request"), key=lambda span: span.start_time_ns)
    (call,) = captured.with_role("call")
    assert first.end_time_ns - first.start_time_ns < 0.2e9
    assert second.start_time_ns - first.end_time_ns > 0.25e9
    assert 0.1e9 <= second.end_time_ns - second.start_time_ns < 0.3e9
    assert call.start_time_ns <= first.start_time_ns
    assert call.end_time_ns == second.end_time_ns


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (400, openai.BadRequestError, "refused"),
        (401, openai.AuthenticationError, "refused"),
        (429, openai.RateLimitError, "refused"),
        (500, openai.InternalServerError, "unknown"),
        (503, openai.InternalServerError, "refused"),
    ],
)
def test_a_refused_call_is_one_failed_span(
    provider: Provider,
    driver: Driver,
    captured: Captured,
    status: int,
    error: type[Exception],
    outcome: str,
) -> None:
    url = provider.scenario(Fault(status=status))
    with pytest.raises(error):
        create(driver, url, max_retries=0)
    (truth,) = provider.truth(url, expect=1)
    tokens = estimated(truth) if outcome == "unknown" else {}  # refused: no model read anything
    assert described(captured) == [
        Node("chat m").but(
            model="m", requests=1, http=status, outcome=outcome, error=error.__name__, **tokens
        )
    ]


def test_a_call_that_is_refused_in_the_end_has_the_input_of_its_lost_try(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario(FAILED, Fault(status=400))
    with pytest.raises(openai.BadRequestError):
        create(driver, url)
    truth = provider.truth(url, expect=2)
    (call,) = described(captured)
    assert call.facts == {"model": "m", "requests": 2, "error": "BadRequestError", **estimated(truth[0])}
    assert [node.facts.get("input") for node in call.below] == [estimated(truth[0])["input"], None]


def test_a_reset_connection_is_a_request(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario(Fault(reset=True), Fault())
    create(driver, url)
    truth = provider.truth(url, expect=2)
    assert [asked.status for asked in truth] == [None, 200]
    (call,) = described(captured)
    assert call.facts["requests"] == 2
    first, second = call.below
    assert first.facts["outcome"] == "unknown"
    assert first.facts["error"] in ("ReadError", "RemoteProtocolError")
    assert second == answered_request(url, 1, truth[1])


def test_a_refused_connection_reached_no_one(provider: Provider, driver: Driver, captured: Captured) -> None:
    with pytest.raises(openai.APIConnectionError):
        create(driver, "http://127.0.0.1:1/v1", max_retries=0)
    assert described(captured) == [
        Node("chat m").but(model="m", requests=1, outcome="refused", error="APIConnectionError")
    ]


def test_a_timeout_leaves_the_answer_unknown(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario(Fault(delay_s=0.5))
    with pytest.raises(openai.APITimeoutError):
        create(driver, url, max_retries=0, timeout=0.1)
    (call,) = captured.with_role("call")
    (truth,) = provider.truth(url, expect=1)
    lost = {"outcome": "unknown", "error": "APITimeoutError", **estimated(truth)}
    assert described(captured) == [Node("chat m").but(model="m", requests=1, **lost)]
    assert 0.09e9 < call.end_time_ns - call.start_time_ns < 0.4e9


def test_a_redirect_is_no_second_inference(provider: Provider, driver: Driver, captured: Captured) -> None:
    target = provider.scenario()
    url = provider.scenario(Fault(status=307, headers={"location": f"{target}/chat/completions"}))
    create(driver, url)
    (truth,) = provider.truth(target, expect=1)
    assert described(captured) == [plain_call(truth)]


def test_a_retry_inside_the_transport_is_a_request_too(provider: Provider, captured: Captured) -> None:
    httpx = http_library()
    url = provider.scenario(Fault(status=503), Fault())

    class Retrying(httpx.BaseTransport):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self.below = httpx.HTTPTransport()

        def handle_request(self, request: Any) -> Any:
            response = self.below.handle_request(request)
            if response.status_code == 503:
                response.close()
                response = self.below.handle_request(request)
            return response

        def close(self) -> None:
            self.below.close()

    driver = SyncDriver()
    create(driver, url, http_client=httpx.Client(transport=Retrying()))
    driver.close()
    truth = provider.truth(url, expect=2)
    (call,) = described(captured)
    assert call.facts["requests"] == 2
    assert call.below == (
        failed_request(url, 0, truth[0]),
        answered_request(url, 1, truth[1]),
    )


def test_a_failed_validation_sends_nothing_and_says_so(provider: Provider, captured: Captured) -> None:
    url = provider.scenario()
    driver = AsyncDriver()
    client = driver.client(url, max_retries=0)

    async def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("not today")

    client._prepare_options = refuse
    with pytest.raises(ValueError, match="not today"):
        driver.run(client.chat.completions.create(model="m", messages=MESSAGES))
    driver.close()
    assert described(captured) == [Node("chat m").but(model="m", requests=0, error="ValueError")]

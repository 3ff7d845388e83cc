"""One request over every HTTP library: the same spans, whatever happens to it on the wire."""

import gzip
import importlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

import fanlight
import fanlight.testing
from fanlight import patches
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from sdk_drivers import MESSAGES
from span_trees import Node, described, estimated, plain_call, stream_call
from transport_drivers import DRIVERS, TransportDriver

BODY: dict[str, Any] = {"model": "m", "messages": MESSAGES}
STREAM = {**BODY, "stream": True}
WITH_USAGE = {**STREAM, "stream_options": {"include_usage": True}}
REFUSED = "http://127.0.0.1:1/v1"


@pytest.fixture(params=list(DRIVERS))
def transport(request: pytest.FixtureRequest) -> Iterator[TransportDriver]:
    made = DRIVERS[request.param]
    pytest.importorskip(made.module_name)
    with made() as driver:
        yield driver


def test_a_request_is_a_call(provider: Provider, transport: TransportDriver, captured: Captured) -> None:
    url = provider.scenario()
    with fanlight.action("answer"):
        answer = transport.ask(f"{url}/chat/completions", BODY)
    (truth,) = provider.truth(url, expect=1)
    assert answer["usage"]["prompt_tokens"] == truth.input_tokens
    assert described(captured) == [Node("answer", below=(plain_call(truth),))]


def test_a_stream_with_usage_has_it(
    provider: Provider, transport: TransportDriver, captured: Captured
) -> None:
    url = provider.scenario()
    lines = transport.lines(transport.post(f"{url}/chat/completions", WITH_USAGE))
    (truth,) = provider.truth(url, expect=1)
    assert lines[-1] == b"data: [DONE]"
    assert described(captured) == [
        plain_call(truth, stream=True, stream_end="completed", chunks=truth.events_sent)
    ]


def test_a_stream_read_at_once(provider: Provider, transport: TransportDriver, captured: Captured) -> None:
    url = provider.scenario(Fault(delay_s=0.1, pace_s=0.01))
    transport.rest(transport.post(f"{url}/chat/completions", STREAM))
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [stream_call(truth, "completed", chunks=truth.events_sent)]
    (span,) = captured.spans
    assert 0.1 < float(str(span.attributes["gen_ai.response.time_to_first_chunk"])) < 0.3
    assert span.end_time_ns - span.start_time_ns >= 0.1e9 + 25 * 0.01e9


def test_a_stream_that_is_closed_early(
    provider: Provider, transport: TransportDriver, captured: Captured
) -> None:
    url = provider.scenario(Fault(pace_s=0.005))
    answer = transport.post(f"{url}/chat/completions", STREAM)
    transport.lines(answer, 9)
    transport.close_answer(answer)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [stream_call(truth, "closed", finish=None, chunks=8, output=8)]


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stream_that_is_dropped(provider: Provider, transport: TransportDriver, captured: Captured) -> None:
    url = provider.scenario(Fault(pace_s=0.005))
    answer = transport.post(f"{url}/chat/completions", STREAM)
    transport.lines(answer, 9)
    del answer
    transport.collect_garbage()
    (truth,) = provider.truth(url, expect=1)
    (call,) = described(captured)
    assert call.facts["stream_end"] in ("closed", "abandoned")
    assert call.but(stream_end=None) == stream_call(
        truth, "", stream_end=None, finish=None, chunks=8, output=8
    )


def test_a_stream_that_is_held_at_the_end(
    provider: Provider, transport: TransportDriver, captured: Captured
) -> None:
    url = provider.scenario()
    answer = transport.post(f"{url}/chat/completions", STREAM)
    transport.lines(answer, 9)
    patches.end_open_calls()
    (call,) = described(captured)
    assert (call.facts["stream_end"], call.facts["outcome"]) == ("abandoned", "answered")
    assert len(transport.lines(answer)) == 28 - 9  # a role, 25 tokens, a reason, the end
    assert len(captured.spans) == 1


def test_a_stream_cut_by_the_server(
    provider: Provider, transport: TransportDriver, captured: Captured
) -> None:
    url = provider.scenario(Fault(cut_after=10))
    answer = transport.post(f"{url}/chat/completions", STREAM)
    with pytest.raises(Exception, match=r"(?i)peer closed|broken|incomplete|not completed|prematurely"):
        transport.rest(answer)
    (truth,) = provider.truth(url, expect=1)
    assert truth.events_sent == 10
    assert described(captured) == [
        stream_call(
            truth, "cut", finish=None, chunks=10, output=10, outcome="unknown", error=transport.names.cut
        )
    ]


def test_a_stream_that_stalls_times_out(
    provider: Provider, transport: TransportDriver, captured: Captured
) -> None:
    url = provider.scenario(Fault(hang_after=4))
    answer = transport.post(f"{url}/chat/completions", STREAM, timeout_s=0.3)
    with pytest.raises(Exception, match=r"(?i)timed out|timeout"):
        transport.rest(answer)
    (call,) = described(captured)
    assert call.facts["error"] == transport.names.stalled
    assert (call.facts["stream_end"], call.facts["outcome"], call.facts["output"]) == ("error", "unknown", 4)


def test_an_answer_that_is_late(provider: Provider, transport: TransportDriver, captured: Captured) -> None:
    url = provider.scenario(Fault(delay_s=1))
    with pytest.raises(Exception, match=r"(?i)timed out|timeout"):
        transport.post(f"{url}/chat/completions", BODY, timeout_s=0.2)
    (truth,) = provider.truth(url, expect=1)
    names = transport.names
    assert described(captured) == [
        Node("chat m").but(
            model="m", requests=1, outcome="unknown", error=names.late or names.stalled, **estimated(truth)
        )
    ]


def test_a_connection_that_is_reset(
    provider: Provider, transport: TransportDriver, captured: Captured
) -> None:
    url = provider.scenario(Fault(reset=True))
    with pytest.raises(Exception, match=r"(?i)reset|aborted|disconnected"):
        transport.post(f"{url}/chat/completions", BODY)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [
        Node("chat m").but(
            model="m", requests=1, outcome="unknown", error=transport.names.reset, **estimated(truth)
        )
    ]


def test_a_connection_that_is_refused(transport: TransportDriver, captured: Captured) -> None:
    with pytest.raises(Exception, match=r"(?i)refused|connect"):
        transport.post(f"{REFUSED}/chat/completions", BODY)
    assert described(captured) == [
        Node("chat m").but(model="m", requests=1, outcome="refused", error=transport.names.refused)
    ]


@pytest.mark.parametrize(("status", "outcome"), [(400, "refused"), (429, "refused"), (503, "refused")])
def test_a_request_that_is_refused(
    provider: Provider, transport: TransportDriver, captured: Captured, status: int, outcome: str
) -> None:
    url = provider.scenario(Fault(status=status))
    answer = transport.post(f"{url}/chat/completions", BODY)
    assert answer.status == status
    assert json.loads(transport.rest(answer)) == {"error": {"message": "on demand", "type": "mock_error"}}
    transport.close_answer(answer)
    assert described(captured) == [
        Node("chat m").but(model="m", requests=1, http=status, outcome=outcome, error=str(status))
    ]


def test_redirects_are_none(provider: Provider, transport: TransportDriver, captured: Captured) -> None:
    target = provider.scenario()
    url = provider.scenario(Fault(status=308, headers={"location": f"{target}/chat/completions"}))
    answer = transport.post(f"{url}/chat/completions", BODY)
    transport.rest(answer)
    transport.close_answer(answer)
    if transport.follows_redirects or answer.status == 200:
        (truth,) = provider.truth(target, expect=1)
        assert described(captured) == [plain_call(truth)]
    else:
        assert described(captured) == []


def test_a_compressed_answer_is_read(
    provider: Provider, transport: TransportDriver, captured: Captured
) -> None:
    url = provider.scenario(Fault(gzip=True))
    answer = transport.post(f"{url}/chat/completions", BODY)
    data = transport.rest(answer)
    transport.close_answer(answer)
    body = json.loads(data if transport.undoes_encodings else gzip.decompress(data))
    (truth,) = provider.truth(url, expect=1)
    assert body["usage"]["prompt_tokens"] == truth.input_tokens
    assert described(captured) == [plain_call(truth)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/models", None),
        ("POST", "/v1/responses", {"survey": 7, "answers": ["yes"]}),
        ("POST", "/v1/responses/resp_1/cancel", {}),
        ("POST", "/v1/traces", {"resourceSpans": []}),
        ("POST", "/v1/chat/completions", ["not", "an", "object"]),
    ],
)
def test_other_requests_are_none(
    provider: Provider, transport: TransportDriver, captured: Captured, method: str, path: str, body: Any
) -> None:
    transport.ask(provider.scenario(end="") + path, body, method=method)
    assert described(captured) == []


def test_the_consumer_s_waits_are_kept_apart(
    provider: Provider, transport: TransportDriver, captured: Captured
) -> None:
    url = provider.scenario(Fault(pace_s=0))
    answer = transport.post(f"{url}/chat/completions", STREAM)
    transport.lines(answer, 2)
    time.sleep(0.3)
    transport.lines(answer)
    (span,) = captured.spans
    assert 0.3 <= float(str(span.attributes["fanlight.stream.consumer_wait"])) < 0.6


def test_a_look_at_a_background_response_brings_its_tokens(
    provider: Provider, transport: TransportDriver, captured: Captured
) -> None:
    url = provider.scenario()
    asked = transport.ask(f"{url}/responses", {"model": "m", "input": "one two", "background": True})
    statuses = [
        transport.ask(f"{url}/responses/{asked['id']}", None, method="GET")["status"] for _ in range(2)
    ]
    assert statuses == ["in_progress", "completed"]
    (truth,) = provider.truth(url, expect=1)
    call = described(captured)[-1]
    assert len({span.span_id for span in captured.spans}) == 1
    assert (call.facts["input"], call.facts["output"]) == (truth.input_tokens, truth.output_tokens)


def test_the_app_sees_the_same(provider: Provider, transport: TransportDriver) -> None:
    """Status, types, bytes and exceptions, with the tracer and without."""

    def seen() -> list[object]:
        found: list[object] = []
        for fault in (Fault(), Fault(status=500), Fault(cut_after=3), Fault(hang_after=3), Fault(reset=True)):
            url = provider.scenario(fault)
            try:
                answer = transport.post(f"{url}/chat/completions", STREAM, timeout_s=0.3)
                found += [answer.status, type(answer.response)]
                found.append(len(transport.rest(answer)))
            except Exception as error:  # noqa: BLE001  (whatever the library raises)
                found += [type(error), str(error).partition("0x")[0].replace(url, "URL")]
        return found

    bare = seen()
    patches.install_all()
    with fanlight.testing.capture() as spans:
        traced = seen()
    patches.uninstall_all()
    assert len(spans.spans) == 5
    names = [str(value).rpartition("/s/")[0] for value in bare]
    assert [str(value).rpartition("/s/")[0] for value in traced] == names
    assert [value for value in traced if not isinstance(value, str)] == [
        value for value in bare if not isinstance(value, str)
    ]


HOOKED = [
    ("http.client", "HTTPConnection", ("endheaders", "getresponse")),
    ("urllib3.connectionpool", "HTTPConnectionPool", ("urlopen", "_make_request")),
    ("aiohttp.client", "ClientSession", ("_request",)),
    ("aiohttp.client", "ClientRequest", ("send",)),
    ("aiohttp.client", "ClientResponse", ("start",)),
]


@pytest.mark.parametrize(("module", "owner", "names"), HOOKED, ids=[f"{m}.{o}" for m, o, _ in HOOKED])
def test_uninstalling_leaves_nothing_behind(module: str, owner: str, names: tuple[str, ...]) -> None:
    pytest.importorskip(module)
    patched = getattr(importlib.import_module(module), owner)
    before = [vars(patched)[name] for name in names]
    finders = list(sys.meta_path)
    patches.install_all()
    assert all(now is not then for now, then in zip([vars(patched)[n] for n in names], before, strict=True))
    patches.uninstall_all()
    assert [vars(patched)[name] for name in names] == before
    assert sys.meta_path == finders

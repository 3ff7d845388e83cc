"""Each request counts once where OpenTelemetry's own instrumentation of the same HTTP library is on, too."""

import importlib
from collections.abc import Iterator
from typing import Any

import pytest

from fanlight import patches
from fanlight.testing import Captured
from mock_provider import Fault, Provider
from span_trees import described, plain_call, stream_call
from transport_drivers import DRIVERS, OTHERS, TransportDriver

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}


@pytest.fixture(params=["before", "after"])
def beside(request: pytest.FixtureRequest, name: str, captured: Captured) -> Iterator[TransportDriver]:
    """The library's driver, with others' hooks put in before ours or after them."""
    pytest.importorskip(DRIVERS[name].module_name)
    made = [
        getattr(pytest.importorskip(f"opentelemetry.instrumentation.{module}"), instrumentor)()
        for module, instrumentor in OTHERS[name]
    ]
    if request.param == "before":
        patches.uninstall_all()
    for other in made:
        other.instrument()
    patches.install_all()
    importlib.import_module(DRIVERS[name].module_name)
    with DRIVERS[name]() as driver:
        yield driver
    if request.param == "before":  # hooks come off in the order in which they lie
        patches.uninstall_all()
    for other in reversed(made):
        other.uninstrument()


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_request_counts_once(provider: Provider, beside: TransportDriver, captured: Captured) -> None:
    url = provider.scenario()
    beside.ask(f"{url}/chat/completions", BODY)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [plain_call(truth)]


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_stream_counts_once(provider: Provider, beside: TransportDriver, captured: Captured) -> None:
    url = provider.scenario(Fault(pace_s=0.005))
    answer = beside.post(f"{url}/chat/completions", {**BODY, "stream": True})
    beside.lines(answer, 9)
    beside.close_answer(answer)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == [stream_call(truth, "closed", finish=None, chunks=8, output=8)]

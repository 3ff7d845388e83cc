"""Processes that are killed lose nothing: whoever starts next delivers what they left.

A request that was on its way is counted as one whose answer nobody knows. The deaths that other tracers were
measured at are in test_situations; here are harder ones.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mock_provider import Asked, Fault, Provider
from otlp_receiver import OtlpReceiver
from process_trees import ASK_SDK, described_spans, each_once, let_run, next_process
from span_trees import Node, plain_call

DIED = {"error": "process_died"}
NEXT = Node("execute_tool next")

PROGRAM = """
    import signal, threading, time, fanlight
    fanlight.instrument()
    with fanlight.action("answer", user="u-42"):
        {body}
"""
STREAM = (
    ASK_SDK.replace("messages=", "stream=True, messages=").replace(".usage.completion_tokens", "")
    + """
def take(client_stream):
    for _ in client_stream: pass
"""
)


def spool_of(environment: "os._Environ[str]") -> Path:
    return Path(environment["FANLIGHT_SPOOL_DIR"])


def left_in_spool() -> list[Path]:
    return list(spool_of(os.environ).glob("*"))


def died(asked: Asked, **facts: object) -> Node:
    """A call whose process was killed while its only request was on its way."""
    known = {"model": "m", "requests": 1, "outcome": "unknown", "usage": "estimated"}
    return Node("chat m", {**known, "input": round(asked.body_bytes / 4), **DIED, **facts}, failed=True)


def root(*calls: Node, dead: bool = True) -> Node:
    return Node("answer", DIED if dead else {}, failed=dead, below=calls)


def test_a_call_that_dies_with_its_process_is_one_request_of_unknown_outcome(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario(Fault(delay_s=3))
    kill = "threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGKILL)).start(); ask()"
    let_run(PROGRAM.format(body=kill), tmp_path, ask=ASK_SDK, BASE_URL=url)
    next_process(tmp_path)
    (asked,) = provider.truth(url, expect=1)
    assert described_spans(each_once(collector.spans)) == [root(died(asked)), NEXT]
    call = next(span for span in collector.spans if span.name == "chat m")
    assert call.start_time_unix_nano == call.end_time_unix_nano
    assert left_in_spool() == []


def test_a_death_in_the_third_try_leaves_three_requests(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    at_once = {"retry-after-ms": "1"}
    url = provider.scenario(
        Fault(status=500, headers=at_once), Fault(status=429, headers=at_once), Fault(delay_s=3)
    )
    kill = "threading.Timer(2, os.kill, (os.getpid(), signal.SIGKILL)).start(); ask()"
    let_run(PROGRAM.format(body=kill), tmp_path, ask=ASK_SDK, BASE_URL=url)
    next_process(tmp_path)
    truth = provider.truth(url, expect=3)
    path = f"POST {urlsplit(url).path}/chat/completions"
    estimate = {"usage": "estimated", "input": round(truth[0].body_bytes / 4)}
    request = {"model": "m", "outcome": "unknown", **estimate}
    tries = (
        Node(path, {**request, "resend": 0, "http": 500, "error": "500"}, failed=True),
        Node(
            path,
            {"model": "m", "outcome": "refused", "resend": 1, "http": 429, "error": "429"},
            failed=True,
        ),
        Node(path, {**request, "resend": 2, **DIED}, failed=True),
    )
    call = Node("chat m", {"model": "m", "requests": 3, **estimate, **DIED}, failed=True, below=tries)
    assert described_spans(each_once(collector.spans)) == [root(call), NEXT]
    first, _, third = (span for span in collector.spans if span.name.startswith("POST"))
    assert first.end_time_unix_nano > first.start_time_unix_nano
    assert third.end_time_unix_nano == third.start_time_unix_nano


def test_a_death_in_the_middle_of_a_stream_leaves_its_request(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario(Fault(pace_s=0.01))
    body = """client = openai.OpenAI(base_url=os.environ["BASE_URL"], api_key="k")
        for n, _ in enumerate(client.chat.completions.create(model="m", messages=[], stream=True)):
            if n == 5: os.kill(os.getpid(), signal.SIGKILL)"""
    let_run(PROGRAM.format(body=body), tmp_path, ask=ASK_SDK, BASE_URL=url)
    next_process(tmp_path)
    (asked,) = provider.truth(url, expect=1)
    assert described_spans(each_once(collector.spans)) == [root(died(asked, stream=True)), NEXT]


POOL = """
    import multiprocessing, fanlight
    if __name__ == "__main__":
        fanlight.instrument()
        with fanlight.action("answer", user="u-42"), multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            assert pool.map(ask, range(4)) == [25] * 4
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_calls_of_pool_workers_that_are_terminated_are_told_when_the_parent_ends(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, method: str
) -> None:
    url = provider.scenario()
    done = let_run(POOL, tmp_path, method, BASE_URL=url)
    assert (done.returncode, done.stderr) == (0, "")
    calls = tuple(map(plain_call, provider.truth(url)))
    assert described_spans(each_once(collector.spans)) == [root(*calls, dead=False)]
    assert len(calls) == 4
    assert left_in_spool() == []


PREFORK = """
    import signal, time, fanlight
    fanlight.instrument()
    with fanlight.action("answer", user="u-42"):
        workers = []
        for _ in range(3):
            reading, writing = os.pipe()
            pid = os.fork()
            if pid == 0:
                ask()
                os.write(writing, b"x")
                time.sleep(60)  # until it is killed
            workers.append(pid)
            os.read(reading, 1)
        for pid in workers: os.kill(pid, {number})
        for pid in workers: os.waitpid(pid, 0)
        {end}
"""


def test_calls_of_prefork_workers_that_are_killed_are_told(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario()
    done = let_run(PREFORK.format(number="signal.SIGKILL", end="pass"), tmp_path, BASE_URL=url)
    assert (done.returncode, done.stderr) == (0, "")
    calls = tuple(map(plain_call, provider.truth(url)))
    assert len(calls) == 3
    assert described_spans(each_once(collector.spans)) == [root(*calls, dead=False)]


def test_a_prefork_server_that_is_killed_with_its_workers_loses_their_calls_no_more(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario()
    end = "ask(); os.kill(os.getpid(), signal.SIGKILL)"
    let_run(PREFORK.format(number="signal.SIGKILL", end=end), tmp_path, BASE_URL=url)
    next_process(tmp_path)
    calls = tuple(map(plain_call, provider.truth(url)))
    assert len(calls) == 4
    assert described_spans(each_once(collector.spans)) == [root(*calls), NEXT]
    assert left_in_spool() == []


def test_a_worker_that_outlives_its_parent_does_not_hold_the_parents_spans_back(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario()
    body = """
    import signal, time, fanlight
    fanlight.instrument()
    ask()
    pid = os.fork()
    if pid == 0:
        sys.stdout.close(); sys.stderr.close(); os.closerange(0, 3)
        time.sleep(8)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    let_run(body, tmp_path, BASE_URL=url)
    next_process(tmp_path)
    (asked,) = provider.truth(url)
    assert described_spans(each_once(collector.spans)) == [plain_call(asked), NEXT]


def test_a_call_that_the_apps_own_exporter_delivers_is_not_told_a_second_time(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario()
    body = """
    import signal, fanlight
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
    fanlight.instrument(tracer_provider=provider)
    with fanlight.action("answer"):
        ask()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = let_run(body, tmp_path, BASE_URL=url)
    assert (done.returncode, done.stderr) == (-9, "")
    assert collector.names == ["chat m"]
    next_process(tmp_path)
    (asked,) = provider.truth(url)
    assert sorted(collector.names) == ["answer", "chat m", "execute_tool next"]
    assert described_spans(collector.spans) == [root(plain_call(asked)), NEXT]

"""Processes that are killed lose nothing: whoever starts next delivers what they left.

Rows of other tracers' comparison that are held here: exit_normal, exit_sys_exit, exit_exception, exit_sigint,
exit_os__exit, exit_sigterm, exit_sigkill, exit_sigterm_midcall, exit_daemon_thread_inflight, mp_fork_with,
fork_sigterm_worker. A request that was on its way is counted as one whose answer nobody knows.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mock_provider import Asked, Fault, Provider
from otlp_receiver import OtlpReceiver, attributes_of
from process_trees import ASK_SDK, described_spans, each_once, let_run, next_process, traces_of_actions
from span_trees import Node, plain_call

DIED = {"error": "process_died"}
NEXT = Node("execute_tool next")

PROGRAM = """
    import signal, threading, time, fanlight
    fanlight.instrument()
    with fanlight.action("answer", user="u-42"):
        {body}
"""
ASK_ASYNC = (
    ASK_SDK.replace("import openai", "import openai, asyncio")
    .replace("def ask(n=0):", "async def ask_async():")
    .replace("with openai.OpenAI", "async with openai.AsyncOpenAI")
    .replace("return client", "return (await client")
    .replace(").usage", ")).usage")
    + "def ask(n=0): return asyncio.run(ask_async())\n"
)
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


@pytest.mark.parametrize("ask", [ASK_SDK, ASK_ASYNC], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("os._exit(0)", 0),
        ("os.kill(os.getpid(), signal.SIGTERM)", -15),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
    ],
    ids=["os._exit", "sigterm", "sigkill"],
)
def test_a_call_right_before_the_death_is_told(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, ask: str, end: str, code: int
) -> None:
    url = provider.scenario()
    done = let_run(PROGRAM.format(body=f"ask(); {end}"), tmp_path, ask=ask, BASE_URL=url)
    assert (done.returncode, done.stderr) == (code, "")
    assert collector.spans == []
    next_process(tmp_path)
    (asked,) = provider.truth(url)
    assert described_spans(each_once(collector.spans)) == [root(plain_call(asked)), NEXT]
    assert traces_of_actions(collector.spans)
    assert {attributes_of(span).get("user.id") for span in collector.spans} == {"u-42", None}
    assert left_in_spool() == []


@pytest.mark.parametrize(
    "end", ["pass", "sys.exit(3)", "raise ValueError", "os.kill(os.getpid(), signal.SIGINT)"]
)
def test_a_program_that_ends_by_itself_leaves_nothing(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, end: str
) -> None:
    url = provider.scenario()
    let_run(PROGRAM.format(body=f"ask()\n    {end}"), tmp_path, ask=ASK_SDK, BASE_URL=url)
    (asked,) = provider.truth(url)
    assert described_spans(each_once(collector.spans)) == [root(plain_call(asked), dead=False)]
    assert left_in_spool() == []


@pytest.mark.parametrize("ask", [ASK_SDK, ASK_ASYNC], ids=["sync", "async"])
@pytest.mark.parametrize("number", ["SIGTERM", "SIGKILL"])
def test_a_call_that_dies_with_its_process_is_one_request_of_unknown_outcome(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, ask: str, number: str
) -> None:
    url = provider.scenario(Fault(delay_s=3))
    kill = f"threading.Timer(1.5, os.kill, (os.getpid(), signal.{number})).start(); ask()"
    let_run(PROGRAM.format(body=kill), tmp_path, ask=ask, BASE_URL=url)
    next_process(tmp_path)
    (asked,) = provider.truth(url, expect=1)
    assert described_spans(each_once(collector.spans)) == [root(died(asked)), NEXT]
    call = next(span for span in collector.spans if span.name == "chat m")
    assert call.start_time_unix_nano == call.end_time_unix_nano
    assert left_in_spool() == []


def test_a_call_of_a_daemon_thread_that_the_exit_cuts_is_told_at_once(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario(Fault(delay_s=3))
    body = "threading.Thread(target=ask, daemon=True).start(); time.sleep(1.5)"
    done = let_run(PROGRAM.format(body=body), tmp_path, ask=ASK_SDK, BASE_URL=url)
    assert done.returncode == 0
    (asked,) = provider.truth(url, expect=1)
    assert described_spans(each_once(collector.spans)) == [root(died(asked, error="abandoned"), dead=False)]
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


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
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


@pytest.mark.parametrize("number", ["signal.SIGTERM", "signal.SIGKILL"])
def test_calls_of_prefork_workers_that_are_killed_are_told(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, number: str
) -> None:
    url = provider.scenario()
    done = let_run(PREFORK.format(number=number, end="pass"), tmp_path, BASE_URL=url)
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

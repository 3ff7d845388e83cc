"""The spool on disks that are full, read-only or dirty, beside living processes, and in steady state."""

import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, KeysView
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import StatusCode

import fanlight
from fanlight import _instrument, _spool
from fanlight._announce import announce, as_died
from fanlight._export import ExportCounts, ExportSink
from fanlight._runtime import runtime
from fanlight._spans import child_span, start_span
from fanlight_schema.attributes import CONTENT
from fanlight_schema.spool import dead_processes, default_folder, target_of
from mock_provider import Fault, Provider
from otlp_receiver import Fault as Refusal
from otlp_receiver import OtlpReceiver
from process_trees import ASK, ASK_SDK, let_run, next_process

HEAD = """
import os, signal, sys, time
import fanlight
from fanlight._spans import start_span
fanlight.instrument()
def record(count, name):
    for _ in range(count):
        with fanlight.tool(name): pass
"""
KILL = "os.kill(os.getpid(), signal.SIGKILL)"


def run(program: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", HEAD + textwrap.dedent(program)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def living(program: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that has printed a line and waits for one on its standard input."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            HEAD + textwrap.dedent(program) + "\nprint('ready', flush=True)\nsys.stdin.readline()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def folder() -> Path:
    return Path(os.environ["FANLIGHT_SPOOL_DIR"])


def files() -> list[Path]:
    return sorted(folder().glob("*"))


def sink() -> ExportSink:
    assert isinstance(runtime.sink, ExportSink)
    return runtime.sink


def counts() -> ExportCounts:
    return sink().counts


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def test_folder_and_file_are_this_users_alone_and_found_without_a_variable(collector: OtlpReceiver) -> None:
    run(f"record(1, 's'); {KILL}")
    (left,) = files()
    assert (folder().stat().st_mode & 0o777, left.stat().st_mode & 0o777) == (0o700, 0o600)
    assert default_folder() == Path(f"/var/tmp/fanlight-{os.geteuid()}")


def test_file_is_empty_once_all_is_delivered_and_gone_at_the_end(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    for _ in range(3):
        start_span("s", "tool").end()
        assert files()[0].stat().st_size > 0
        assert fanlight.flush()
        assert [left.stat().st_size for left in files()] == [0]
    fanlight.shutdown()
    assert files() == []


def test_file_does_not_grow_while_something_stays_open(
    collector: OtlpReceiver, provider: Provider, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(_spool, "REWRITE_FROM_BYTES", 20_000)
    fanlight.instrument()
    with fanlight.agent("open"):
        open_call = start_span("chat m", "call")
        announce(open_call)
        for _ in range(20):
            for _ in range(50):
                start_span("s", "tool").end()
            assert fanlight.flush()
            (left,) = files()
            assert left.stat().st_size < 40_000
        (left,) = files()
        held = left.read_bytes()
        assert open_call.span_context.span_id.to_bytes(8, "big") in held
        assert b"invoke_agent open" in held
        open_call.end()
    assert fanlight.flush()
    assert [left.stat().st_size for left in files()] == [0]
    assert len(collector.spans) == 1_002


def test_what_is_written_holds_no_content_no_key_and_no_header(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20h3ader")
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.replace("//", "//me:passw0rd@") + "?t=qu3ry"
    )
    ask = ASK_SDK.replace("Say something", "pr0mpt").replace('"k"', '"sk-k3y"')
    body = f"""
    import signal, fanlight
    fanlight.instrument()
    with fanlight.action("a", user="u-42"):
        print(ask())
        {KILL}
    """
    url = provider.scenario()
    let_run(
        body,
        tmp_path,
        ask=ask.replace(".usage.completion_tokens", ".choices[0].message.content"),
        BASE_URL=url,
    )
    (left,) = files()
    held = left.read_bytes()
    assert b"u-42" in held
    assert b"chat m" in held
    (asked,) = provider.truth(url)
    assert "sk-k3y" in asked.headers["authorization"]
    for secret in (
        b"pr0mpt",
        b"window",
        b"sk-k3y",
        b"h3ader",
        b"passw0rd",
        b"qu3ry",
        b"authorization",
        b"messages",
    ):
        assert secret not in held


def test_collector_that_is_away_for_the_whole_life_of_a_process_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    done = run("record(500, 's')")
    assert done.returncode == 0
    assert "500 spans could not be delivered before the process ended; they are in the spool" in done.stderr
    with OtlpReceiver(port) as receiver:
        run("record(1, 'next')")
        names = receiver.names
        assert (names.count("execute_tool s"), names.count("execute_tool next")) == (500, 1)
    assert files() == []


def test_what_a_full_queue_refuses_is_delivered_from_the_spool_by_the_same_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("FANLIGHT_QUEUE_LIMIT_BYTES", "10000")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    fanlight.instrument()
    still_open = start_span("chat m", "call")
    announce(still_open)
    for _ in range(1_000):
        start_span("s", "tool").end()
    found = counts()
    assert found.spooled > 900
    assert found.dropped == 0
    with OtlpReceiver(port) as receiver:
        receiver.wait_for(1_000, timeout_s=10)
        assert len({span.span_id for span in receiver.spans}) == 1_000
        deadline = time.monotonic() + 10
        while len(files()) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert "chat m" not in receiver.names  # it goes on, in another file
        still_open.end()
        assert fanlight.flush()
        assert fanlight.shutdown()
        assert receiver.names.count("chat m") == 1
    assert found.taken_over >= found.spooled
    assert files() == []


def test_what_a_dead_process_left_comes_in_parts_where_it_is_too_large_at_once(
    collector: OtlpReceiver,
) -> None:
    run(f"record(100, 's'); {KILL}")
    collector.refuse_larger(7)
    fanlight.instrument()
    start_span("next", "tool").end()
    collector.wait_for(101)
    assert len({span.span_id for span in collector.spans}) == len(collector.spans) == 101
    assert fanlight.shutdown()
    assert files() == []


def test_what_no_collector_takes_of_a_dead_process_is_counted_and_no_longer_kept(
    collector: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    run(f"record(3, 's'); {KILL}")
    collector.refuse_larger(0)
    fanlight.instrument()
    sink()._take_over(time.monotonic() + 10)
    assert (counts().taken_over, counts().taken_over_refused) == (0, 3)
    assert files() == []
    assert [message.split(" (HTTP 413 ")[0] for message in caplog.messages] == [
        "fanlight: the collector rejected 1 spans of a dead process"
    ] * 3
    collector.refuse_larger(10)
    start_span("next", "tool").end()
    assert fanlight.flush()
    (resource,) = [spans.resource for r in collector.requests for spans in r.request.resource_spans]
    told = {pair.key: pair.value.int_value for pair in resource.attributes}
    assert told["fanlight.dropped_spans"] == 3


def test_a_spool_that_is_full_is_handed_over_and_used_again_by_the_same_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limit_bytes, port = 60_000, free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("FANLIGHT_QUEUE_LIMIT_BYTES", "10000")
    monkeypatch.setenv("FANLIGHT_SPOOL_LIMIT_BYTES", str(limit_bytes))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    fanlight.instrument()
    for _ in range(1_000):
        start_span("s", "tool").end()
    found = counts()
    told = 1_000 - found.dropped
    assert found.spooled > 50
    assert found.dropped > 50
    assert sum(left.stat().st_size for left in files()) <= limit_bytes
    with OtlpReceiver(port) as receiver:
        receiver.wait_for(told, timeout_s=15)
        assert len({span.span_id for span in receiver.spans}) == told
        deadline = time.monotonic() + 10
        while found.taken_over < found.spooled or len(files()) > 1:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        refused = found.unspooled
        start_span("after", "tool").end()
        assert fanlight.flush()
        assert found.unspooled == refused
        assert fanlight.shutdown()
    assert files() == []


@pytest.mark.parametrize("place", ["read-only", "a file", "a link", "writable by others"])
def test_a_folder_that_cannot_be_used_stops_nothing(
    collector: OtlpReceiver,
    tmp_path: Path,
    place: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    there = tmp_path / "there"
    if place == "a file":
        there.write_text("")
    elif place == "a link":
        (tmp_path / "elsewhere").mkdir()
        there.symlink_to(tmp_path / "elsewhere")
    elif place == "writable by others":
        there.mkdir()
        there.chmod(0o777)
    else:
        there = Path("/proc/fanlight")  # root may write to any folder of mode 0500
    monkeypatch.setenv("FANLIGHT_SPOOL_DIR", str(there))
    fanlight.instrument()
    for _ in range(5):
        start_span("s", "tool").end()
    assert fanlight.flush()
    assert collector.names == ["s"] * 5
    assert counts() == ExportCounts(ended=5, delivered=5, unspooled=5)
    assert [message for message in caplog.messages if "cannot be written to the spool" in message]
    assert len(caplog.messages) == 1


def test_a_full_disk_stops_nothing_and_what_fitted_is_whole(collector: OtlpReceiver) -> None:
    done = run(
        f"""
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, -1))
        record(100, "s")
        from fanlight._runtime import runtime
        assert runtime.sink.counts.ended == 100 and runtime.sink.counts.dropped == 0
        print(runtime.sink._spool.refused, flush=True)
        resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))
        record(10, "later")
        {KILL}
        """
    )
    refused = int(done.stdout)
    assert 80 < refused < 100
    assert "cannot be written to the spool" in done.stderr
    run("record(1, 'next')")
    assert collector.names.count("execute_tool s") == 100 - refused
    assert collector.names.count("execute_tool later") == 10
    assert files() == []


def test_spans_that_did_not_fit_are_spooled_at_the_end_where_they_fit_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    fanlight.instrument()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, before[1]))
    try:
        for _ in range(100):
            start_span("s", "tool").end()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    found = counts()
    fanlight.shutdown()
    assert found == ExportCounts(ended=100, spooled=100, unspooled=found.unspooled)
    assert found.unspooled > 80
    assert [
        spans for dead in dead_processes(folder(), lambda _: True) for _, spans in dead.requests(10**6)
    ] == [100]


def test_spans_that_do_not_fit_at_the_end_are_dropped_and_those_in_the_file_are_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("FANLIGHT_SPOOL_LIMIT_BYTES", "10000")
    fanlight.instrument()
    for _ in range(100):
        start_span("s", "tool").end()
    found = counts()
    fanlight.shutdown()
    (kept,) = [
        spans for dead in dead_processes(folder(), lambda _: True) for _, spans in dead.requests(10**6)
    ]
    assert 10 < kept < 90
    assert found == ExportCounts(ended=100, spooled=kept, dropped=100 - kept, unspooled=found.unspooled)
    assert f"; {kept} of them are in the spool" in caplog.messages[-1]


def test_what_was_delivered_first_is_not_taken_for_what_is_lost_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("FANLIGHT_SPOOL_LIMIT_BYTES", "10000")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    monkeypatch.setattr(_spool, "REOPEN_AFTER_S", 0.0)
    fanlight.instrument()
    found = counts()
    with OtlpReceiver(port) as receiver:
        for _ in range(100):
            start_span("before", "tool").end()
        assert fanlight.flush()
    receiver.drop_connections()
    assert sink()._unspooled == set()
    for _ in range(20):
        start_span("after", "tool").end()
    fanlight.shutdown()
    assert found == ExportCounts(ended=120, delivered=100, spooled=20, unspooled=found.unspooled)


def test_other_tracers_spans_that_are_left_at_the_end_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """They never lie on a disk."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    provider = TracerProvider()
    fanlight.instrument(provider)
    with fanlight.action("ask"), provider.get_tracer("other").start_as_current_span("theirs"):
        pass
    found = counts()
    fanlight.shutdown()
    assert found == ExportCounts(ended=2, spooled=1, dropped=1)


def test_the_folder_holds_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("FANLIGHT_SPOOL_LIMIT_BYTES", "20000")
    for _ in range(4):
        run(f"record(50, 's'); {KILL}")
    assert 15_000 < sum(left.stat().st_size for left in files()) <= 20_000
    done = run("record(50, 's')")
    assert done.returncode == 0
    assert "it holds 19.5 KiB, which is FANLIGHT_SPOOL_LIMIT_BYTES" in done.stderr


def test_room_that_others_leave_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("FANLIGHT_SPOOL_LIMIT_BYTES", "20000")
    monkeypatch.setattr(_spool, "REOPEN_AFTER_S", 0.05)
    run(f"record(100, 's'); {KILL}")
    fanlight.instrument()
    for _ in range(10):
        start_span("s", "tool").end()
    assert sink()._spool.refused > 5
    for left in files():
        if left.stat().st_size > 10_000:
            left.unlink()
    time.sleep(0.1)
    before = sink()._spool.refused
    start_span("s", "tool").end()
    assert sink()._spool.refused == before


def test_a_torn_record_costs_itself_alone(collector: OtlpReceiver) -> None:
    run(f"record(10, 's'); {KILL}")
    (left,) = files()
    whole = left.read_bytes()
    left.write_bytes(whole[:-20])
    run("record(1, 'next')")
    assert collector.names.count("execute_tool s") == 9
    assert files() == []


def test_what_is_no_spool_file_stays_and_hinders_nobody(collector: OtlpReceiver) -> None:
    run(f"record(3, 's'); {KILL}")
    garbage = {"a.spool": os.urandom(5_000), "b.spool": b"\x01", "notes.txt": b"mine"}
    for name, data in garbage.items():
        (folder() / name).write_bytes(data)
    os.mkfifo(folder() / "c.spool")
    (folder() / "d.spool").symlink_to("/etc/passwd")
    (folder() / "e.spool").mkdir()
    run("record(1, 'next')")
    assert collector.names.count("execute_tool s") == 3
    assert {path.name for path in files()} == {*garbage, "c.spool", "d.spool", "e.spool"}
    assert all((folder() / name).read_bytes() == data for name, data in garbage.items())


def test_files_for_another_collector_stay(collector: OtlpReceiver) -> None:
    run(f"record(3, 's'); {KILL}", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    run("record(1, 'next')")
    assert collector.names == ["execute_tool next"]
    assert len(files()) == 1
    assert target_of("http://me:pw@LOCALHOST:4318/v1/traces/?k=1") == "http://127.0.0.1:4318/v1/traces"


def test_the_file_of_a_living_process_is_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    with living("record(5, 'one')") as one, living("record(5, 'two')"):
        before = {path: path.read_bytes() for path in files()}
        assert len(before) == 2
        with OtlpReceiver(port) as receiver:
            run("record(1, 'next')")
            assert receiver.names == ["execute_tool next"]
            assert {path: path.read_bytes() for path in files()} == before
            one.kill()
            one.wait()
            run("record(1, 'next')")
            assert sorted(receiver.names) == ["execute_tool next"] * 2 + ["execute_tool one"] * 5
            assert len(files()) == 1


def test_two_that_deliver_at_once_delete_nothing_that_is_not_delivered(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        run(f"record(20, 's{number}'); {KILL}")
    programs = [
        subprocess.Popen([sys.executable, "-c", HEAD + "record(1, 'next')\nfanlight.flush()"])
        for _ in range(3)
    ]
    assert [program.wait(60) for program in programs] == [0, 0, 0]
    run("record(1, 'last')")
    names = {name: collector.names.count(name) for name in set(collector.names)}
    assert names == {
        **{f"execute_tool s{n}": 20 for n in range(10)},
        "execute_tool next": 3,
        "execute_tool last": 1,
    }
    assert files() == []


def test_a_collector_that_stops_in_the_middle_gets_the_rest_later(collector: OtlpReceiver) -> None:
    run(f"record(20, 's'); {KILL}")
    collector.always(Refusal(status=503))
    run("record(1, 'next')", FANLIGHT_SHUTDOWN_TIMEOUT_S="0.3")
    assert collector.spans == []
    assert len(files()) == 2
    collector.always(None)
    run("record(1, 'last')")
    assert collector.names.count("execute_tool s") == 20
    assert collector.names.count("execute_tool next") == 1
    assert files() == []


def test_forks_while_records_are_written_lose_nothing(collector: OtlpReceiver) -> None:
    done = run(
        f"""
        import threading
        stop = threading.Event()
        def write():
            while not stop.is_set(): record(1, "thread")
        thread = threading.Thread(target=write)
        thread.start()
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                record(3, "child")
                {KILL}
            os.waitpid(pid, 0)
        stop.set(); thread.join()
        """,
        PYTHONWARNINGS="ignore::DeprecationWarning",
    )
    assert (done.returncode, done.stderr) == (0, "")
    run("record(1, 'next')")
    assert collector.names.count("execute_tool child") == 60
    assert files() == []


def test_requests_of_a_call_that_was_being_ended_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    fanlight.instrument()
    call = start_span("chat m", "call")
    tries = [child_span(call, "announced", "request", {}, 1) for _ in range(2)]
    announce(call, {"fanlight.requests": 2}, b"".join(map(as_died, tries)))
    for _ in range(2):
        start_span("ended", "request", parent=call.context).end()
    _instrument._shutdown_at_exit()
    with next(dead_processes(folder(), lambda _: True)) as dead:
        ((request, count),) = dead.requests(10**6)
    (resource_spans,) = ExportTraceServiceRequest.FromString(request).resource_spans
    assert [span.name for span in resource_spans.scope_spans[0].spans] == ["ended", "ended", "chat m"]
    assert count == 3
    call.end()


def test_uninstrument_ends_what_is_open_without_calling_it_a_death(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    span = start_span("chat m", "call")
    announce(span)
    fanlight.uninstrument()
    assert files() == []
    span.end()


def test_a_redirect_that_was_no_call_leaves_nothing(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario(Fault(status=307, headers={"location": "/nowhere"}))
    ask = ASK.replace("answer.json()", "{'usage': {'completion_tokens': answer.status_code}}")
    done = let_run(
        f"import signal, fanlight\nfanlight.instrument()\nprint(ask())\n{KILL}",
        tmp_path,
        ask=ask,
        BASE_URL=url,
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "307\n")
    next_process(tmp_path)
    assert collector.names == ["execute_tool next"]


def test_a_process_that_makes_no_span_makes_no_file(collector: OtlpReceiver) -> None:
    began = time.monotonic()
    assert run("").returncode == 0
    assert time.monotonic() - began < 30
    assert not folder().exists()


PROMPTS = [
    "prompt-in-message",
    "prompt-in-status",
    "prompt-in-attribute",
    "prompt-in-event",
    "prompt-said",
    "prompt-in-name",
]


@pytest.mark.parametrize("messages", ["false", "true"])
@pytest.mark.parametrize("content", ["", ",".join(sorted(CONTENT))])
@pytest.mark.parametrize("spans", ["false", "true"])
def test_the_spool_holds_no_content_whatever_is_switched_on(
    collector: OtlpReceiver,
    provider: Provider,
    monkeypatch: pytest.MonkeyPatch,
    messages: str,
    content: str,
    spans: str,
) -> None:
    """What is sent has what was asked for, and what the app has put there itself."""
    monkeypatch.setenv("FANLIGHT_ERROR_MESSAGES", messages)
    monkeypatch.setenv("FANLIGHT_CONTENT", content)
    monkeypatch.setenv("FANLIGHT_APP_SPANS", spans)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    app = TracerProvider()
    fanlight.instrument(tracer_provider=app)
    with suppress(ValueError), fanlight.action("ask"):
        current = trace.get_current_span()
        current.set_attribute("app.input", "prompt-in-attribute")
        current.set_attributes({"app.more": "prompt-in-attribute"})
        current.add_event("said", {"text": "prompt-in-event"})
        with app.get_tracer("app").start_as_current_span("app", attributes={"x": "prompt-in-attribute"}):
            body = {"model": "m", "messages": [{"role": "user", "content": "prompt-said"}]}
            with httpx.Client() as client:
                client.post(f"{provider.scenario()}/chat/completions", json=body)
        with fanlight.agent("states"):
            trace.get_current_span().set_status(StatusCode.ERROR, "prompt-in-status")
        with fanlight.agent("renamed"):
            trace.get_current_span().update_name("prompt-in-name")
        open_span = start_span("chat open", "call")
        open_span.set_attribute("app.input", "prompt-in-attribute")
        open_span.update_name("prompt-in-name")
        announce(open_span)
        raise ValueError("prompt-in-message")
    (left,) = files()
    held = left.read_bytes()
    assert all(
        name in held
        for name in (b"ask", b"chat m", b"invoke_agent states", b"invoke_agent renamed", b"chat open")
    )
    assert [text for text in PROMPTS if text.encode() in held] == []
    open_span.end()
    assert fanlight.flush()
    sent = b"".join(received.request.SerializeToString() for received in collector.requests)
    assert (b"prompt-in-message" in sent, b"prompt-said" in sent) == (messages == "true", content != "")
    assert all(
        text in sent
        for text in (b"prompt-in-status", b"prompt-in-attribute", b"prompt-in-event", b"prompt-in-name")
    )


def test_a_span_that_another_thread_ends_meanwhile_is_not_told_as_open(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    span = start_span("invoke_agent a", "agent")
    told = as_died(span)
    span.end()
    sink().announce(span, told)
    assert fanlight.flush()
    assert [path.read_bytes() for path in files()] == [b""]


def test_what_two_threads_set_at_once_is_all_kept_off_the_disk() -> None:
    fanlight.instrument()
    span = start_span("invoke_agent a", "agent")

    class Meanwhile(dict[str, str]):
        """Another thread sets something while its keys are taken."""

        def keys(self) -> KeysView[str]:
            if "app.other" not in span.own:
                span.set_attribute("app.other", "prompt-in-attribute")
            return super().keys()

        def __iter__(self) -> Iterator[str]:
            return iter(self.keys())

    span.set_attributes(Meanwhile({"app.more": "prompt-in-attribute"}))
    assert b"prompt" not in as_died(span)
    span.end()

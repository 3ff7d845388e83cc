"""Forks, exits and programs without a collector, each in a process of its own."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from otlp_receiver import Fault, OtlpReceiver, attributes_of

HEAD = """
import os, sys, threading
import fanlight
from fanlight._spans import start_span
fanlight.instrument()
def record(name):
    with fanlight.tool(name): pass
"""


def run(program: str, timeout_s: float = 30, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a program with fanlight on, and give what became of it."""
    return subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", HEAD + textwrap.dedent(program)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("", 0),
        ("sys.exit(0)", 0),
        ("sys.exit(3)", 3),
        ("raise RuntimeError('x')", 1),
        ("os.kill(os.getpid(), 2)", 1),  # SIGINT; Python ends with -2 where it re-raises the signal
    ],
)
def test_spans_of_a_program_that_ends_arrive(collector: OtlpReceiver, ending: str, code: int) -> None:
    done = run(f"record('last')\n{ending}")
    assert done.returncode == code or (ending.startswith("os.kill") and done.returncode in (-2, 130))
    assert collector.names == ["execute_tool last"]


def test_spans_of_daemon_threads_arrive(collector: OtlpReceiver) -> None:
    done = run("t = threading.Thread(target=record, args=('t',), daemon=True); t.start(); t.join()")
    assert done.returncode == 0
    assert collector.names == ["execute_tool t"]


def test_span_recorded_by_a_later_exit_handler_arrives(collector: OtlpReceiver) -> None:
    run("import atexit; atexit.register(record, 'at exit')")
    assert collector.names == ["execute_tool at exit"]


def test_fork_exports_each_processs_own_spans_once(collector: OtlpReceiver) -> None:
    done = run(
        """
        record("before")
        pid = os.fork()
        record("child" if pid == 0 else "parent")
        if pid == 0: sys.exit(0)
        os.waitpid(pid, 0)
        """
    )
    assert done.stderr == ""
    assert sorted(collector.names) == ["execute_tool before", "execute_tool child", "execute_tool parent"]


def test_action_open_at_a_fork_is_ended_by_the_parent_only(collector: OtlpReceiver) -> None:
    done = run(
        """
        with fanlight.action("answer", user="u"):
            pid = os.fork()
            if pid == 0:
                record("child"); sys.exit(0)
            os.waitpid(pid, 0)
        """
    )
    assert done.stderr == ""
    by_name = {span.name: span for span in collector.spans}
    assert sorted(collector.names) == ["answer", "execute_tool child"]
    assert by_name["execute_tool child"].parent_span_id == by_name["answer"].span_id
    assert attributes_of(by_name["execute_tool child"])["user.id"] == "u"


def test_fork_while_the_exporter_is_busy_does_not_hang(collector: OtlpReceiver) -> None:
    collector.always(Fault(delay_s=0.05))
    done = run(
        """
        for n in range(20):
            for _ in range(200): record("p")
            pid = os.fork()
            if pid == 0:
                record("c"); sys.exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        """,
        OTEL_BSP_SCHEDULE_DELAY="1",
        FANLIGHT_SHUTDOWN_TIMEOUT_S="10",
    )
    assert done.returncode == 0
    assert collector.names.count("execute_tool c") == 20
    assert collector.names.count("execute_tool p") == 4_000


def test_fork_while_the_exporter_is_being_imported_does_not_hang(collector: OtlpReceiver) -> None:
    done = run(
        """
        import importlib.abc, time
        class Slow(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path=None, target=None):
                if name == "http.client":
                    time.sleep(0.5)
        sys.meta_path.insert(0, Slow())
        record("p")
        time.sleep(0.2)
        pid = os.fork()
        if pid == 0:
            record("c"); sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        """,
        OTEL_BSP_SCHEDULE_DELAY="1",
        timeout_s=10,
    )
    assert done.returncode == 0
    assert sorted(collector.names) == ["execute_tool c", "execute_tool p"]


def test_ids_do_not_repeat_after_a_fork_or_a_seed(collector: OtlpReceiver) -> None:
    run(
        """
        import random
        for _ in range(4):
            random.seed(1)
            if os.fork() == 0:
                random.seed(1); record("c"); sys.exit(0)
            os.wait()
        """
    )
    assert len({span.trace_id for span in collector.spans}) == 4


WORKERS = """
import multiprocessing, sys, fanlight
from concurrent.futures import ProcessPoolExecutor
fanlight.instrument()
def work(headers):
    with fanlight.resume(headers), fanlight.tool("work"): pass
if __name__ == "__main__":
    with fanlight.action("answer"):
        context = multiprocessing.get_context(sys.argv[1])
        worker = context.Process(target=work, args=(fanlight.carrier(),))
        worker.start(); worker.join()
        with context.Pool(2) as pool:
            pool.map(work, [fanlight.carrier()] * 2)
            pool.close(); pool.join()
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            pool.submit(work, fanlight.carrier()).result()
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_spans_of_multiprocessing_workers_arrive(
    collector: OtlpReceiver, method: str, tmp_path: Path
) -> None:
    program = tmp_path / "program.py"
    program.write_text(WORKERS)
    subprocess.run([sys.executable, str(program), method], check=True, timeout=60)
    assert sorted(collector.names) == ["answer"] + ["execute_tool work"] * 4
    assert len({span.trace_id for span in collector.spans}) == 1


def test_program_without_a_collector_ends_at_once() -> None:
    began = time.perf_counter()
    bare = run("os._exit(0)")
    bare_s = time.perf_counter() - began
    began = time.perf_counter()
    done = run("record('lost')", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    assert (bare.returncode, done.returncode) == (0, 0)
    assert time.perf_counter() - began < bare_s + 1
    assert "1 spans could not be delivered" in done.stderr


def test_importing_fanlight_loads_neither_the_sdk_nor_an_http_client() -> None:
    heavy = ("opentelemetry.sdk", "google.protobuf", "requests", "http.client", "openai", "httpx", "ssl")
    done = run(f"print([name for name in {heavy!r} if name in sys.modules])")
    assert done.stdout.strip() == "[]"

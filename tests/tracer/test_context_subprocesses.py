"""Programs that an action starts belong to it, whether or not they know of fanlight."""

import ast
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import fanlight
from fanlight import patches
from fanlight.patches import _logfire, _processes, _subprocesses, _threads
from fanlight.patches._subprocesses import child_environment
from fanlight.testing import Captured
from mock_provider import Provider
from otlp_receiver import OtlpReceiver, attributes_of
from process_trees import ASK, ASK_SDK, described_spans, run_program, traces_of_actions
from span_trees import Node, plain_call

NO_SET_UP = ASK + "ask()\n"
SET_UP = "import fanlight\nfanlight.instrument()\n" + NO_SET_UP
SUB_AGENT = SET_UP.replace("ask()\n", "") + "with fanlight.action('sub-agent'), fanlight.agent('b'): ask()\n"
IN_A_THREAD = (
    SET_UP.replace("ask()\n", "")
    + "import threading\nt = threading.Thread(target=ask)\nt.start(); t.join()\n"
)
PARENT = """
    import asyncio, subprocess
    import fanlight
    fanlight.instrument()
    child = [sys.executable, os.environ["CHILD"]]
    with fanlight.action("answer", user="Zoë, 42"):
        {start}
"""
STARTS = {
    "run": "subprocess.run(child, check=True)",
    "shell": "subprocess.check_output(' '.join(child), shell=True)",
    "asyncio": "asyncio.run(wait())",
    "posix_spawn": "os.waitpid(os.posix_spawn(child[0], child, os.environ), 0)",
    "own": "subprocess.run(child, check=True, env={'BASE_URL': os.environ['BASE_URL']})",
    "popen": "os.popen(' '.join(child)).read()",
}
WAIT = """
async def wait():
    process = await asyncio.create_subprocess_exec(*child)
    assert await process.wait() == 0
"""


def run_parent(start: str, child: str, folder: Path, url: str, **environment: str) -> None:
    (folder / "child.py").write_text(child)
    body = PARENT.replace("    with", WAIT.replace("\n", "\n    ") + "\n    with", 1).format(start=start)
    run_program(body, folder, BASE_URL=url, CHILD=str(folder / "child.py"), **environment)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
def test_a_program_without_any_set_up_is_the_actions(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, start: str
) -> None:
    url = provider.scenario()
    run_parent(start, NO_SET_UP, tmp_path, url)
    (asked,) = provider.truth(url)
    assert described_spans(collector.spans) == [Node("answer", below=(plain_call(asked),))]
    assert len(traces_of_actions(collector.spans)) == 1
    assert {attributes_of(span)["user.id"] for span in collector.spans} == {"Zoë, 42"}
    assert not {"traceparent", "tracestate", "baggage"} & set(asked.headers)


BARE = {
    "urllib": """
import json, os, urllib.request
body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "one two"}]}).encode()
with urllib.request.urlopen(os.environ["BASE_URL"] + "/chat/completions", data=body) as answer:
    answer.read()
""",
    "requests": """
import os, requests
body = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}
requests.post(os.environ["BASE_URL"] + "/chat/completions", json=body)
""",
    "aiohttp": """
import asyncio, os, aiohttp
body = {"model": "m", "messages": [{"role": "user", "content": "one two"}]}
async def ask():
    url = os.environ["BASE_URL"] + "/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        await answer.read()
asyncio.run(ask())
""",
}


@pytest.mark.parametrize("library", BARE)
def test_a_program_with_any_http_library_is_the_actions(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, library: str
) -> None:
    if library != "urllib":
        pytest.importorskip(library)
    url = provider.scenario()
    run_parent(STARTS["run"], BARE[library], tmp_path, url)
    (asked,) = provider.truth(url)
    assert described_spans(collector.spans) == [Node("answer", below=(plain_call(asked),))]


@pytest.mark.parametrize("set_up", ["", "import fanlight\nfanlight.instrument()\n"], ids=["none", "own"])
def test_a_program_with_the_sdk_is_the_actions(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, set_up: str
) -> None:
    url = provider.scenario()
    run_parent(STARTS["run"], set_up + ASK_SDK + "ask()\n", tmp_path, url)
    (asked,) = provider.truth(url)
    assert described_spans(collector.spans) == [Node("answer", below=(plain_call(asked),))]
    assert not {"traceparent", "tracestate", "baggage"} & set(asked.headers)


@pytest.mark.parametrize("follow", ["true", "false"])
@pytest.mark.parametrize("child", [SET_UP, IN_A_THREAD], ids=["main", "thread"])
def test_a_program_with_a_set_up_of_its_own_is_the_actions(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, child: str, follow: str
) -> None:
    url = provider.scenario()
    run_parent(STARTS["run"], child, tmp_path, url, FANLIGHT_SUBPROCESSES=follow)
    (asked,) = provider.truth(url)
    assert described_spans(collector.spans) == [Node("answer", below=(plain_call(asked),))]


def test_an_action_of_a_sub_agent_program_is_a_step_of_the_action(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario()
    run_parent(f"with fanlight.tool('research'): {STARTS['run']}", SUB_AGENT, tmp_path, url)
    (asked,) = provider.truth(url)
    agent = Node("invoke_agent sub-agent", below=(Node("invoke_agent b", below=(plain_call(asked),)),))
    tool = Node("execute_tool research", below=(agent,))
    assert described_spans(collector.spans) == [Node("answer", below=(tool,))]
    hops = {span.name: attributes_of(span)["fanlight.hop"] for span in collector.spans}
    assert hops["chat m"] == 3


def test_a_program_that_a_program_starts_is_below_the_step_that_started_it(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    grandchild = tmp_path / "grandchild.py"
    grandchild.write_text(NO_SET_UP)
    child = SUB_AGENT.replace("ask()", f"__import__('subprocess').run([sys.executable, {str(grandchild)!r}])")
    url = provider.scenario()
    run_parent(STARTS["run"], child, tmp_path, url)
    (asked,) = provider.truth(url)
    agent = Node("invoke_agent sub-agent", below=(Node("invoke_agent b", below=(plain_call(asked),)),))
    assert described_spans(collector.spans) == [Node("answer", below=(agent,))]


def test_a_client_that_is_imported_in_a_thread_is_the_actions(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    child = "from concurrent.futures import ThreadPoolExecutor\ndef work(_):\n"
    child += textwrap.indent(NO_SET_UP, "    ")
    child += "pool = ThreadPoolExecutor(3)\nlist(pool.map(work, range(3)))\n"
    url = provider.scenario()
    run_parent(STARTS["run"], "import sys\n" + child, tmp_path, url)
    calls = tuple(plain_call(asked) for asked in provider.truth(url))
    assert len(calls) == 3
    assert described_spans(collector.spans) == [Node("answer", below=calls)]


def test_a_python_without_fanlight_runs_as_ever_and_says_so_where_it_was_started_to_be_traced(
    tmp_path: Path,
) -> None:
    (tmp_path / "httpx.py").write_text("print('its own')\n")
    python = str(Path(sys.base_prefix, "bin", "python3"))
    auto = str(Path(next(iter(fanlight.__path__)), "_auto"))
    environment = {"PYTHONPATH": f"{auto}{os.pathsep}{tmp_path}"}
    for variables, lines in ((environment, 1), ({**environment, "FANLIGHT_TRACE_ON_IMPORT": "1"}, 0)):
        done = subprocess.run(
            [python, "-s", "-c", "import httpx, sys; print('fanlight' in sys.modules)"],
            env=variables,
            capture_output=True,
            text=True,
        )
        assert (done.stdout, done.stderr.count("\n")) == ("its own\nFalse\n", lines)


def test_programs_are_left_alone_where_the_option_says_so(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario()
    run_parent(STARTS["run"], NO_SET_UP, tmp_path, url, FANLIGHT_SUBPROCESSES="false")
    assert len(provider.truth(url)) == 1
    assert described_spans(collector.spans) == [Node("answer")]


def test_a_program_outside_any_action_is_traced_and_is_its_own(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario()
    run_parent(f"pass\n    {STARTS['run']}", NO_SET_UP, tmp_path, url)
    (asked,) = provider.truth(url)
    assert described_spans(collector.spans) == [Node("answer"), plain_call(asked)]


PRINT = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]


def environment_of_child(**options: Any) -> dict[str, str]:
    found: dict[str, str] = json.loads(subprocess.check_output(PRINT, **options))
    return found


def test_the_environment_names_the_action_for_whoever_reads_it(captured: Captured) -> None:
    before = dict(os.environ)
    with fanlight.action("answer", user="u-42"):
        found = environment_of_child()
        headers = fanlight.carrier()
    root = captured.named("answer")
    assert found["TRACEPARENT"] == f"00-{root.trace_id}-{root.span_id}-01" == headers["traceparent"]
    assert root.attributes["fanlight.action.id"] == root.trace_id
    assert found["BAGGAGE"] == headers["baggage"]
    assert dict(os.environ) == before
    assert set(found) - set(before) <= {"TRACEPARENT", "BAGGAGE", "LC_CTYPE"}


def test_what_the_app_gave_stays_as_it_is(captured: Captured) -> None:
    given = {"TRACEPARENT": "00-" + "a" * 32 + "-" + "b" * 16 + "-01", "PATH": "/bin"}
    kept = dict(given)
    with fanlight.action("answer"):
        found = environment_of_child(env=given)
        other = environment_of_child(env={"BAGGAGE": "tenant=acme"})
        assert child_environment({b"TRACEPARENT": b"x"}) is None
    assert given == kept
    assert given.items() <= found.items()
    assert "BAGGAGE" not in found
    assert other["BAGGAGE"] == "tenant=acme"
    assert other["TRACEPARENT"].startswith("00-")


def test_outside_any_action_the_environment_is_as_it_was(captured: Captured) -> None:
    assert child_environment(None) is None
    assert environment_of_child(env={"A": "1"}).items() <= {"A": "1", "LC_CTYPE": "C.UTF-8"}.items()


def test_a_child_with_a_clean_environment_gets_no_token(
    collector: OtlpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=secret")
    fanlight.instrument()
    found = environment_of_child(env={"PYTHONPATH": "/mine"})
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == collector.url
    assert found["PYTHONPATH"].split(os.pathsep)[1:] == ["/mine"]
    assert "secret" not in str(found)


def test_errors_of_a_start_are_the_apps(captured: Captured) -> None:
    with fanlight.action("answer"):
        with pytest.raises(FileNotFoundError, match="no-such-program"):
            subprocess.run(["no-such-program"])
        with pytest.raises(AttributeError, match="'int' object has no attribute 'items'"):
            subprocess.run(["true"], env=7)
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run(["false"], check=True)


def test_nothing_is_left_of_the_hooks() -> None:
    before = [vars(subprocess.Popen)["_execute_child"], os.posix_spawn, os.posix_spawnp]
    patches.install_all()
    assert vars(subprocess.Popen)["_execute_child"] is not before[0]
    patches.uninstall_all()
    assert [vars(subprocess.Popen)["_execute_child"], os.posix_spawn, os.posix_spawnp] == before


def test_a_program_without_a_client_does_not_load_the_tracer(collector: OtlpReceiver) -> None:
    fanlight.instrument()
    code = "import sys, json, subprocess; print('fanlight' in sys.modules, 'opentelemetry' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False False\n"


def test_the_set_up_waits_for_every_client_that_is_patched() -> None:
    source = Path(next(iter(fanlight.__path__)), "_auto", "sitecustomize.py").read_text()
    listed = source.partition("CLIENTS = ")[2].partition("\n\n")[0]
    no_clients = (_threads, _processes, _subprocesses, _logfire, *patches._ENTRIES)
    own = {name for family in no_clients for name in family.MODULES}
    clients = ast.literal_eval(listed)
    patched = set(patches._PATCHES) - own
    assert [name for name in patched if not f"{name}.".startswith(tuple(f"{c}." for c in clients))] == []

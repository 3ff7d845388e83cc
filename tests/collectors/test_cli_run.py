"""`fanlight run`: the program runs as it would alone, and is traced."""

import signal
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest

from fanlight_cli import clean_environment, run_cli
from fanlight_collectors.cli.run import instrumented_environment, service_name
from fanlight_collectors.demo_server import running_demo_server
from running import FANLIGHT, running_up

NOWHERE = "http://127.0.0.1:9"


def run_program(source: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    script = folder / "program.py"
    script.write_text(textwrap.dedent(source))
    return run_cli(
        "run", "--endpoint", NOWHERE, "--", sys.executable, str(script), "--flag", "x", folder=folder
    )


def test_output_arguments_and_exit_code_are_the_program_s(tmp_path: Path) -> None:
    result = run_program("import sys; print(sys.argv[1:]); sys.exit(7)", tmp_path)
    assert (result.returncode, result.stdout) == (7, "['--flag', 'x']\n")


def test_a_signal_ends_the_program_as_without_fanlight(tmp_path: Path) -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"
    with subprocess.Popen(
        [*FANLIGHT, "run", "--endpoint", NOWHERE, "--", sys.executable, "-c", program],
        cwd=tmp_path,
        env=clean_environment(),
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.wait(60) == -signal.SIGTERM


def test_the_program_is_instrumented_before_its_first_line_runs(tmp_path: Path) -> None:
    result = run_program(
        """
        import os, sys
        print("fanlight" in sys.modules, os.environ["OTEL_SERVICE_NAME"])
        print(os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"])
        """,
        tmp_path,
    )
    assert result.stdout == f"True program\n{NOWHERE}\n"


def test_below_a_traced_program_it_does_not_wait_for_the_first_client() -> None:
    inherited = {"FANLIGHT_TRACE_ON_IMPORT": "1", "OTEL_SERVICE_NAME": "outer"}
    environment = instrumented_environment(inherited, ["python", "agent.py"], NOWHERE)
    assert "FANLIGHT_TRACE_ON_IMPORT" not in environment
    assert environment["OTEL_SERVICE_NAME"] == "outer"


def test_an_endpoint_where_nothing_listens_is_one_line_of_warning(tmp_path: Path) -> None:
    result = run_program("print('ran')", tmp_path)
    assert result.stdout == "ran\n"
    assert result.stderr.splitlines()[0].startswith(f"fanlight: nothing listens at {NOWHERE}")


@pytest.mark.parametrize("endpoint", ["localhost:9", "ftp://localhost:9", "http://localhost:x", "http://"])
def test_an_endpoint_that_is_no_url_is_refused_with_one_that_is(tmp_path: Path, endpoint: str) -> None:
    result = run_cli("run", "--endpoint", endpoint, "--", sys.executable, "-c", "print(1)", folder=tmp_path)
    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    example = "localhost:9" if endpoint == "localhost:9" else "127.0.0.1:4318"
    assert (
        result.stderr == f"fanlight: --endpoint is {endpoint!r}; give a URL, for example http://{example}\n"
    )


def test_an_endpoint_for_grpc_needs_no_scheme(tmp_path: Path) -> None:
    command = ("run", "--endpoint", "127.0.0.1:9", "--", sys.executable, "-c", "print(1)")
    protocol = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    result = run_cli(*command, folder=tmp_path, environment=protocol)
    assert (result.returncode, result.stdout) == (0, "1\n")
    assert result.stderr.startswith("fanlight: nothing listens at 127.0.0.1:9")


def test_a_python_without_fanlight_runs_the_program_and_one_line_says_what_to_install(tmp_path: Path) -> None:
    venv.create(tmp_path / "other", with_pip=False)
    other = str(tmp_path / "other" / "bin" / "python")
    program = (
        "import subprocess, sys; print('ran'); subprocess.run([sys.executable, '-c', 'import http.client'])"
    )
    result = run_cli("run", "--endpoint", NOWHERE, "--", other, "-c", program, folder=tmp_path)
    assert (result.returncode, result.stdout) == (0, "ran\n")
    _nothing_listens, line = result.stderr.splitlines()
    assert f"this Python ({other}) has no fanlight" in line
    assert line.endswith(f"{other} -m pip install fanlight")


def test_a_program_that_is_not_there_is_exit_code_2(tmp_path: Path) -> None:
    result = run_cli("run", "--", "no-such-program-anywhere", folder=tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["python", "bots/agent.py", "--x"], "agent"),
        (["python3.12", "-u", "-W", "error", "agent.py"], "agent"),
        (["python", "-m", "bots.agent", "run.py"], "bots.agent"),
        (["/usr/bin/uvicorn", "app:app"], "uvicorn"),
        (["python"], "python"),
    ],
)
def test_the_service_is_named_after_the_program(command: list[str], name: str) -> None:
    assert service_name(command) == name


def test_a_program_that_knows_nothing_of_fanlight_is_traced(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text(
        textwrap.dedent(
            """
            import openai
            openai.OpenAI().chat.completions.create(model="m", messages=[{"role": "user", "content": "why?"}])
            """
        )
    )
    with running_up(f"chdb://{tmp_path}/data", tmp_path) as up, running_demo_server() as server:
        environment = {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "demo"}
        command = ("run", "--endpoint", up.url, "--", sys.executable, "agent.py")
        result = run_cli(*command, folder=tmp_path, environment=environment)
        assert (result.returncode, result.stderr) == (0, "")
        sql = "SELECT service, request_model, input_tokens FROM spans FINAL WHERE role = 'call'"
        assert up.rows(sql) == [
            {"service": "agent", "request_model": "m", "input_tokens": server.tally.input_tokens}
        ]
        assert server.tally.requests == 1


def test_what_the_user_has_set_stays() -> None:
    ours = instrumented_environment({"OTEL_SERVICE_NAME": "mine", "PYTHONPATH": "/lib"}, ["python"], NOWHERE)
    assert ours["OTEL_SERVICE_NAME"] == "mine"
    assert ours["PYTHONPATH"].endswith(":/lib")
    assert ours["PYTHONPATH"].split(":")[0].endswith("/fanlight/_auto")

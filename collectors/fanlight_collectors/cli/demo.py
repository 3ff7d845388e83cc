"""`fanlight demo`: an agent workload over the real SDK, and what fanlight says about it."""

import os
import re
import secrets
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import TextColumn
from rich.text import Text

from fanlight_collectors.cli.demo_report import show_report
from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.cli.figures import counted
from fanlight_collectors.cli.output import progress_bar, terminal
from fanlight_collectors.cli.programs import free_port, run_lines, started_up, typed_name
from fanlight_collectors.cli.target import DEMO_FOLDER, Reader, open_reader, read_rows
from fanlight_collectors.demo_server import RunningDemoServer, Tally, running_demo_server
from fanlight_schema.refresh import STANDING_MARKS

FIGURES_TIMEOUT_S = 60.0  # figures are right 5 s after the insert on a machine that is not busy
POLL_S = 0.25
DONE = re.compile(r"(\d+)/(\d+) (\w+) (\S+)")


@dataclass(slots=True)
class Outcome:
    """What the agent did: the name that its sessions begin with, its actions, how long it took."""

    session: str
    actions: int = 0
    said: str = ""  # by an agent some of whose actions failed: the end of it
    duration_s: float = 0.0


def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help=f"Keep the data here (default: ./{DEMO_FOLDER}).", show_default=False
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="NUMBER", help="Another seed gives other questions and answers.")
    ] = 7,
    real: Annotated[
        bool,
        typer.Option(
            "--real",
            help="Ask the endpoint of OPENAI_BASE_URL with OPENAI_API_KEY instead of the demo's own server. "
            "This sends 17 to about 100 requests, as the model plans, which may cost money.",
        ),
    ] = False,
    model: Annotated[str | None, typer.Option(help="With --real: the model to ask.", metavar="NAME")] = None,
) -> None:
    """Run an agent workload over the real openai SDK and show its fan-out and GPU-seconds.

    Planners, parallel workers, tools, retries, and a stream that is broken off: an agent program asks a small
    OpenAI-compatible server on this machine. Nothing leaves the machine, no key is needed.

    Examples:
      fanlight demo
      OPENAI_API_KEY=... fanlight demo --real --model gpt-4o-mini
    """
    console = terminal()
    _check(real, model)
    outcome = Outcome(f"demo-{secrets.token_hex(3)}")
    folder = data or Path(DEMO_FOLDER)
    with _collector(console, folder) as url, _model_server(real, seed) as server:
        _introduce(console, url, server)
        _run_agent(
            console, outcome, _agent_command(outcome.session, seed, real, model), _environment(url, server)
        )
        with closing(open_reader(url)) as reader:
            tally = server.tally if server is not None else None
            _wait_for_figures(console, reader)
            _require_answers(reader, outcome)
            _compare(console, reader, outcome, tally)
            show_report(console, reader, outcome.session, _shown(folder))
    _say_what_next(console, folder)


def _check(real: bool, model: str | None) -> None:
    if real and model is None:
        raise unusable("--real needs --model NAME, a model that the endpoint has")
    if real and not os.environ.get("OPENAI_API_KEY"):
        raise unusable(
            "--real needs OPENAI_API_KEY (and OPENAI_BASE_URL unless the endpoint is api.openai.com)"
        )
    if model is not None and not real:
        raise unusable("--model goes with --real; the demo's own server plays the models of the demo")


@contextmanager
def _collector(console: Console, data: Path) -> Iterator[str]:
    """The address of an up of our own until the block ends, where no other program sends."""
    with ExitStack() as running:
        with console.status("starting the collector"):
            url = running.enter_context(started_up(data, free_port()))
        yield url


@contextmanager
def _model_server(real: bool, seed: int) -> Iterator[RunningDemoServer | None]:
    with nullcontext() if real else running_demo_server(seed) as server:
        yield server


def _introduce(console: Console, url: str, server: RunningDemoServer | None) -> None:
    endpoint = server.base_url if server else os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
    console.print(f"agent      python -m fanlight.demo_agent, on the openai SDK {version('openai')}")
    console.print(f"model      {endpoint}" + (" (the demo's own server)" if server else ""))
    console.print(f"collector  {url}\n")


def _agent_command(session: str, seed: int, real: bool, model: str | None) -> list[str]:
    command = [sys.executable, "-m", "fanlight.demo_agent", "--session", session, "--seed", str(seed)]
    return [*command, "--people", "3", "--model", str(model)] if real else command


def _environment(url: str, server: RunningDemoServer | None) -> dict[str, str]:
    ours = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_SERVICE_NAME": "fanlight-demo"}
    if server is not None:
        ours |= {"OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "demo"}
    dropped = ("OTEL_", "FANLIGHT_")
    return {k: v for k, v in os.environ.items() if not k.startswith(dropped)} | ours


def _run_agent(console: Console, outcome: Outcome, command: list[str], environment: dict[str, str]) -> None:
    began = time.monotonic()
    with progress_bar(console, TextColumn("{task.completed} actions")) as progress:
        task = progress.add_task("the agent works", total=None)

        def on_line(line: str) -> None:
            if match := DONE.fullmatch(line):
                outcome.actions = int(match.group(2))
                progress.update(task, completed=int(match.group(1)), total=outcome.actions)

        code, said = run_lines(command, environment, on_line)
    outcome.duration_s = time.monotonic() - began
    if code == 2 or not outcome.actions:
        raise CommandError(f"the agent did not run (exit code {code}): {said}")
    if code:
        outcome.said = said
        console.print(Text(f"some actions failed: {said}", style="yellow"))


def _require_answers(reader: Reader, outcome: Outcome) -> None:
    sql = f"SELECT countIf(NOT is_error) FROM model_calls WHERE {_of_run(outcome.session)}"
    if not read_rows(reader, sql).rows[0][0]:
        raise CommandError(
            f"nothing was answered: all {outcome.actions} actions failed; is the model's endpoint "
            "(OPENAI_BASE_URL) right, and does it take the key and know the model?"
        )


def _counted(reader: Reader, session: str) -> tuple[int, int]:
    sql = f"SELECT count() AS actions, sum(requests) AS requests FROM actions WHERE {_of_run(session)}"
    actions, requests = read_rows(reader, sql).rows[0]
    return int(str(actions)), int(str(requests or 0))


def _wait_for_figures(console: Console, reader: Reader) -> None:
    deadline = time.monotonic() + FIGURES_TIMEOUT_S
    with console.status("waiting for the figures (a few seconds after the last span)"):
        while read_rows(reader, STANDING_MARKS).rows[0][0]:
            if time.monotonic() > deadline:
                raise CommandError(
                    f"the figures were not complete after {FIGURES_TIMEOUT_S:.0f} s (a busy machine?); "
                    "run `fanlight demo` again"
                )
            time.sleep(POLL_S)


def _compare(console: Console, reader: Reader, outcome: Outcome, tally: Tally | None) -> None:
    actions, requests = _counted(reader, outcome.session)
    console.print(f"{counted(actions, 'action')} in {outcome.duration_s:.1f} s.", end=" ")
    if tally is None:
        console.print(f"fanlight counted {requests:,} requests.\n")
        return
    same = requests == tally.requests
    line = f"The server received {tally.requests:,} requests, fanlight counted {requests:,}."
    console.print(Text(line, style="green" if same else "bold red"))
    _say_what_is_apart(console, reader, outcome.session)
    console.print()
    if not same:
        raise CommandError(
            "the two counts should be equal; `fanlight stats` may catch up, else please report it"
        )


def _say_what_is_apart(console: Console, reader: Reader, session: str) -> None:
    """Why the figures below are fewer: they are of actions that a user set off."""
    sql = (
        "SELECT count() AS actions, sum(requests) AS requests FROM actions "
        f"WHERE {_of_run(session)} AND origin != 'user'"
    )
    actions, requests = read_rows(reader, sql).rows[0]
    if actions:
        apart = f"{counted(actions, 'action')} with {counted(requests, 'request')}"
        line = f"{apart} ran on a schedule; what follows is the users' actions."
        console.print(Text(line, style="dim"), soft_wrap=True)


def _of_run(session: str) -> str:
    return f"startsWith(session_id, '{session}-')"


def _shown(folder: Path) -> str:
    return shlex.quote(str(folder) if folder.is_absolute() else f"./{folder}")


def _say_what_next(console: Console, folder: Path) -> None:
    where, us = _shown(folder), typed_name()
    steps = (
        (f"{us} stats --by model --store {where}", "by action, user, model, agent, hour or region"),
        (f"{us} up --data {where}", "the collector, with this data"),
        (f"{us} up", "a collector for your own programs, in ./fanlight-data"),
        (f"{us} run -- python my_agent.py", "a program of yours, unchanged"),
        (f"{us} demo --real --model NAME", "with your OPENAI_BASE_URL, OPENAI_API_KEY"),
    )
    console.print()
    console.print(Text("next", style="bold underline"))
    for command, meaning in steps:
        console.print(Text(command, style="cyan"), soft_wrap=True)
        console.print(Text(f"    {meaning}", style="dim"))

"""What a newcomer meets first: help texts, wrong usage, the missing extra."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from fanlight_cli import run_cli

COMMANDS = [
    "up",
    "demo",
    "run",
    "stats",
    "trace",
    "sql",
    "import",
    "doctor",
    "schema apply",
    "schema status",
    "schema sql",
    "schema rollback-plan",
    "scrape",
    "rates show",
    "rates calibrate",
    "rates import",
    "rates export",
    "rates add-model",
]
NOT_YET = ["page", "plan"]


def test_help_lists_every_command_that_works_and_none_that_does_not(tmp_path: Path) -> None:
    shown = run_cli("--help", folder=tmp_path, columns=80).stdout
    listed = [line.split()[1] for line in shown.splitlines() if line.startswith("│ ") and line[2] != " "]
    assert set(listed) >= {command.split()[0] for command in COMMANDS}
    assert not set(listed) & set(NOT_YET)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_and_fits_80_columns(tmp_path: Path, command: str) -> None:
    shown = run_cli(*command.split(), "--help", folder=tmp_path, columns=80)
    assert shown.returncode == 0
    assert "Example" in shown.stdout
    assert f"fanlight {command.split()[0]}" in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "…" not in shown.stdout
    assert not re.search(r"<bool>|<list|<Path|<str>|<int", shown.stdout)
    examples = shown.stdout.partition("Example")[2].partition("╭")[0].splitlines()[1:]
    assert all(re.match(r" {3}\S| *$", line) for line in examples), "an example is wrapped"


def test_no_arguments_show_the_help(tmp_path: Path) -> None:
    shown = run_cli(folder=tmp_path)
    assert "Usage: fanlight" in shown.stdout + shown.stderr


@pytest.mark.parametrize(
    "arguments", [["nope"], ["sql", ""], ["stats", "--by", "color"], ["trace", "a", "--limit", "0"]]
)
def test_wrong_usage_is_exit_code_2(tmp_path: Path, arguments: list[str]) -> None:
    result = run_cli(*arguments, folder=tmp_path)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "Value error" not in result.stderr


def test_version_is_that_of_the_distribution(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert run_cli("--version", folder=tmp_path).stdout == f"fanlight {version('fanlight')}\n"


def without_the_extra(*arguments: str) -> "subprocess.CompletedProcess[str]":
    hide_typer = (
        "import sys, importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'typer' else real(name, *rest)\n"
        "from fanlight_collectors.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", hide_typer, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_without_the_extra_one_line_says_what_to_install() -> None:
    result = without_the_extra("stats")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "pip install 'fanlight[collector]'" in result.stderr


def test_without_the_extra_version_and_help_work() -> None:
    version, shown = without_the_extra("--version"), without_the_extra("--help")
    assert (version.returncode, version.stdout.split()[0], version.stderr) == (0, "fanlight", "")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "pip install 'fanlight[collector]'" in shown.stdout

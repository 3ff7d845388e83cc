"""`fanlight sql` and `fanlight schema` on a real embedded store."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from fanlight_cli import clean_environment, run_cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `fanlight schema apply` has made ./fanlight-data."""
    place = tmp_path_factory.mktemp("cli")
    applied = run_cli("schema", "apply", folder=place)
    assert applied.returncode == 0, applied.stderr
    return place


def test_schema_apply_is_done_once_and_status_says_so(folder: Path) -> None:
    again = run_cli("schema", "apply", folder=folder)
    assert "0 migrations applied, up to date" in again.stdout
    status = run_cli("schema", "status", folder=folder)
    assert status.returncode == 0
    assert "pending" not in status.stdout


def test_schema_status_of_an_empty_store_is_exit_code_1_or_2(tmp_path: Path) -> None:
    result = run_cli("schema", "status", folder=tmp_path)
    assert result.returncode == 2
    assert "--store" in result.stderr


def test_json_is_a_list_of_objects_with_full_names_and_exact_numbers(folder: Path) -> None:
    statement = (
        "SELECT number AS a_long_column_name, 18446744073709551615 AS big, NULL AS gone FROM numbers(2)"
    )
    shown = run_cli("sql", statement, "--format", "json", folder=folder)
    assert json.loads(shown.stdout) == [
        {"a_long_column_name": number, "big": 18446744073709551615, "gone": None} for number in (0, 1)
    ]


def test_csv_and_tsv_have_a_header_and_whole_values(folder: Path) -> None:
    statement = "SELECT repeat('x', 500) AS text, 1 AS one"
    shown = run_cli("sql", statement, "-f", "csv", folder=folder, columns=80).stdout
    assert list(csv.DictReader(io.StringIO(shown))) == [{"text": "x" * 500, "one": "1"}]
    assert run_cli("sql", statement, "-f", "tsv", folder=folder).stdout == f"text\tone\n{'x' * 500}\t1\n"


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_fits_the_terminal_and_never_cuts_a_number(folder: Path, columns: int) -> None:
    statement = "SELECT 123456789012345 AS n, repeat('word ', 60) AS text, NULL AS gone"
    lines = run_cli("sql", statement, folder=folder, columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    row = next(line for line in lines if "word" in line)
    assert row.split()[0] == "123456789012345"
    assert row.split()[-1] == "-"
    assert "…" in row


def test_what_is_too_wide_for_a_table_is_shown_as_records(folder: Path) -> None:
    statement = "SELECT " + ", ".join(f"{10**15 + i} AS column_{i}" for i in range(12))
    shown = run_cli("sql", statement, folder=folder, columns=80).stdout
    assert all(str(10**15 + i) in shown for i in range(12))
    assert "column_11" in shown


def test_control_characters_and_markup_in_values_are_shown_not_obeyed(folder: Path) -> None:
    shown = run_cli("sql", "SELECT '[red]x[/red]' AS a, '\\x1b[31mz' AS b", folder=folder).stdout
    assert "[red]x[/red]" in shown
    assert "\x1b" not in shown
    assert "\\x1b[31mz" in shown


def test_a_typing_error_shows_clickhouse_s_message_and_a_caret_at_its_place(folder: Path) -> None:
    statement = "SELECT number\nFROM numbers(3)\nWHER number > 1"
    result = run_cli("sql", statement, folder=folder)
    assert result.returncode == 1
    message, line, caret = result.stderr.splitlines()
    assert message.startswith("fanlight: Syntax error: failed at position 36 (number) (line 3, col 6)")
    assert line == "  WHER number > 1"
    assert caret.index("^") == line.index("number")


def test_an_unknown_name_is_pointed_at(folder: Path) -> None:
    result = run_cli("sql", "SELECT fanuot FROM numbers(3)", folder=folder)
    message, line, caret = result.stderr.splitlines()
    assert "fanuot" in message
    assert caret.index("^") == line.index("fanuot")


def test_a_statement_comes_from_stdin_with_a_dash(folder: Path) -> None:
    shown = run_cli("sql", "-", "-f", "csv", folder=folder, stdin="SELECT 1 AS one;\n")
    assert shown.stdout == '"one"\n1\n'
    assert run_cli("sql", "-", folder=folder, stdin=" ").returncode == 2


def test_no_store_at_all_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    result = run_cli(
        "sql", "SELECT 1", folder=tmp_path, environment={"FANLIGHT_STORE": str(tmp_path / "none")}
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "store", ["clickhouse://127.0.0.1:9/x", "http://127.0.0.1:9", "mysql://there", "chdb://relative"]
)
def test_a_store_that_cannot_be_opened_is_one_line_and_exit_code_2(tmp_path: Path, store: str) -> None:
    result = run_cli("sql", "SELECT 1", "--store", store, folder=tmp_path)
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr


def test_a_reader_that_leaves_early_sees_no_traceback(folder: Path) -> None:
    command = [sys.executable, "-m", "fanlight_collectors.cli", "sql", "SELECT number FROM numbers(300000)"]
    for output in ("csv", "table"):
        with subprocess.Popen(
            [*command, "-f", output],
            cwd=folder,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.read(10)
            process.stdout.close()
            said = process.stderr.read()
        assert b"Traceback" not in said
        assert b"Exception" not in said

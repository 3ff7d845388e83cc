"""`fanlight sql` and `fanlight schema` on a real embedded store."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from fanlight_cli import clean_environment, run_cli
from fanlight_collectors.cli.errors import CommandError
from fanlight_collectors.cli.target import check_permission, open_reader
from fanlight_schema.gpu import catalogue
from running import running_up

Ask: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """A running up; commands read through it."""
    with running_up(f"chdb://{folder}/data", folder) as up:
        yield up.url


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty store that no process holds."""
    folder = tmp_path_factory.mktemp("applied")
    assert run_cli("schema", "apply", "--store", str(folder), folder=folder).returncode == 0
    return folder


@pytest.fixture
def ask(folder: Path, url: str) -> Ask:
    """Runs `fanlight sql ARGUMENTS --store URL-OF-UP`."""
    return lambda *arguments, **options: run_cli("sql", *arguments, "--store", url, folder=folder, **options)


def test_json_is_a_list_of_objects_with_full_names_and_exact_numbers(ask: Ask) -> None:
    statement = "SELECT arrayJoin([0, 1]) AS a_long_column_name, 18446744073709551615 AS big, NULL AS gone"
    shown = ask(statement, "--format", "json")
    assert json.loads(shown.stdout) == [
        {"a_long_column_name": number, "big": 18446744073709551615, "gone": None} for number in (0, 1)
    ]


def test_csv_and_tsv_have_a_header_and_whole_values(ask: Ask) -> None:
    statement = "SELECT repeat('x', 500) AS text, 1 AS one"
    shown = ask(statement, "-f", "csv", columns=80).stdout
    assert list(csv.DictReader(io.StringIO(shown))) == [{"text": "x" * 500, "one": "1"}]
    assert ask(statement, "-f", "tsv").stdout == f"text\tone\n{'x' * 500}\t1\n"


@pytest.mark.parametrize("columns", [80, 120])
def test_a_table_fits_the_terminal_and_never_cuts_a_number(ask: Ask, columns: int) -> None:
    statement = "SELECT 123456789012345 AS n, repeat('word ', 60) AS text, NULL AS gone"
    lines = ask(statement, columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    row = next(line for line in lines if "word" in line)
    assert row.split()[0] == "123456789012345"
    assert row.split()[-1] == "-"
    assert "…" in row


def test_what_is_too_wide_for_a_table_is_shown_as_records(ask: Ask) -> None:
    statement = "SELECT " + ", ".join(f"{10**15 + i} AS column_{i}" for i in range(12))
    shown = ask(statement, columns=80).stdout
    assert all(str(10**15 + i) in shown for i in range(12))
    assert "column_11" in shown


def test_control_characters_and_markup_in_values_are_shown_not_obeyed(ask: Ask) -> None:
    shown = ask("SELECT '[red]x[/red]' AS a, '\\x1b[31mz' AS b").stdout
    assert "[red]x[/red]" in shown
    assert "\x1b" not in shown
    assert "\\x1b[31mz" in shown


def test_a_typing_error_shows_clickhouse_s_message_and_a_caret_at_its_place(ask: Ask) -> None:
    statement = "SELECT name\nFROM spans\nWHER number > 1"
    result = ask(statement)
    assert result.returncode == 1
    message, line, caret = result.stderr.splitlines()
    assert message.startswith("fanlight: Syntax error: failed at position 29 (number) (line 3, col 6)")
    assert line == "  WHER number > 1"
    assert caret.index("^") == line.index("number")


def test_an_unknown_name_is_pointed_at(ask: Ask) -> None:
    result = ask("SELECT fanuot FROM spans")
    message, line, caret = result.stderr.splitlines()
    assert "fanuot" in message
    assert caret.index("^") == line.index("fanuot")


def test_a_statement_comes_from_stdin_with_a_dash(ask: Ask) -> None:
    shown = ask("-", "-f", "csv", stdin="SELECT 1 AS one;\n")
    assert shown.stdout == '"one"\n1\n'
    assert ask("-", stdin=" ").returncode == 2


def test_a_store_that_is_not_there_is_one_line_exit_code_2_and_is_not_made(tmp_path: Path) -> None:
    for store in (f"{tmp_path}/none", "clickhouse://127.0.0.1:9/x", "http://127.0.0.1:9", "mysql://there"):
        result = run_cli("sql", "SELECT 1", folder=tmp_path, environment={"FANLIGHT_STORE": store})
        assert result.returncode == 2, result.stderr
        assert result.stderr.count("\n") == 1, result.stderr
    assert not (tmp_path / "none").exists()


def test_a_folder_that_an_up_holds_is_refused_with_the_way_through_it(folder: Path, url: str) -> None:
    result = run_cli("sql", "SELECT 1", "--store", f"{folder}/data", folder=folder)
    assert result.returncode == 2
    assert "open in process" in result.stderr
    assert "--store http" in result.stderr


def test_up_refuses_what_is_not_one_select_in_one_line(ask: Ask) -> None:
    result = ask("DROP TABLE spans")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "this statement is not run" in result.stderr


@pytest.mark.parametrize(
    "statement",
    ["SHOW TABLES", "DROP VIEW actions", "SELECT * FROM file('/etc/passwd')", "SELECT 1; SELECT 2"],
)
def test_a_folder_and_an_up_refuse_a_statement_with_the_same_words(
    ask: Ask, applied: Path, statement: str
) -> None:
    through_up = ask(statement)
    direct = run_cli("sql", statement, "--store", str(applied), folder=applied)
    assert (direct.returncode, direct.stderr) == (1, through_up.stderr)
    assert direct.stderr.startswith(("fanlight: this statement is not run", "fanlight: Syntax error"))


def test_without_a_statement_the_views_are_listed_and_each_is_one(ask: Ask) -> None:
    lines = ask().stdout.splitlines()[2:]
    views = [line.split()[0] for line in lines]
    assert {"actions", "model_calls", "fanout_by_user", "gpu_demand_by_user"} <= set(views)
    assert all(len(line.split()) > 3 for line in lines)
    counts = ask(
        "SELECT " + ", ".join(f"(SELECT count() FROM {view}) AS {view}" for view in views), "-f", "json"
    )
    assert json.loads(counts.stdout) == [
        dict.fromkeys(views, 0) | {"gpu_hardware": len(catalogue.hardware())}
    ]


def test_a_refusal_says_how_to_find_the_views(ask: Ask) -> None:
    assert "`fanlight sql` alone lists the views" in ask("SHOW TABLES").stderr


def test_a_syntax_error_is_short(ask: Ask) -> None:
    two = ask("SELECT 1; SELECT 2").stderr.splitlines()[0]
    assert (
        two
        == "fanlight: Syntax error (Multi-statements are not allowed): failed at position 9 (end of query)"
    )
    assert ask("SELEC 1").stderr.splitlines()[0] == "fanlight: Syntax error: failed at position 7 (1)"


@pytest.mark.parametrize("output", ["csv", "table"])
def test_a_reader_that_leaves_early_sees_no_traceback(folder: Path, url: str, output: str) -> None:
    arguments = ["sql", "SELECT arrayJoin(range(30000))", "-f", output, "--store", url]
    with subprocess.Popen(
        [sys.executable, "-m", "fanlight_collectors.cli", *arguments],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        said = process.stderr.read()
    assert said == b""


def test_schema_is_applied_once_and_a_folder_is_read_without_an_up(tmp_path: Path) -> None:
    missing = run_cli("schema", "status", folder=tmp_path)
    assert missing.returncode == 2
    assert "--store" in missing.stderr
    assert run_cli("schema", "apply", folder=tmp_path).returncode == 0
    assert "0 migrations applied, up to date" in run_cli("schema", "apply", folder=tmp_path).stdout
    status = run_cli("schema", "status", folder=tmp_path)
    assert (status.returncode, "pending" in status.stdout) == (0, False)
    answer = run_cli("sql", "SELECT count() AS n FROM actions", "-f", "json", folder=tmp_path)
    assert json.loads(answer.stdout) == [{"n": 0}]
    dropped = run_cli("sql", "DROP VIEW actions", folder=tmp_path)
    assert (dropped.returncode, dropped.stderr.count("\n")) == (1, 1)
    assert "this statement is not run" in dropped.stderr


def test_an_up_that_no_option_names_is_looked_for_where_its_variable_says(folder: Path, url: str) -> None:
    environment = {"FANLIGHT_UP_LISTEN": url.partition("//")[2]}
    answer = run_cli("sql", "SELECT 1 AS one", "-f", "csv", folder=folder, environment=environment)
    assert (answer.returncode, answer.stdout) == (0, '"one"\n1\n')


def test_text_in_double_quotes_and_a_statement_without_quotes_get_a_hint(ask: Ask) -> None:
    quoted = ask('SELECT count() FROM actions WHERE user_id = "ada"')
    assert quoted.returncode == 1
    assert "use single quotes for text" in quoted.stderr
    split = ask("SELECT", "1")
    assert (split.returncode, split.stderr.count("\n")) == (2, 1)
    assert "quote the statement" in split.stderr


def test_a_description_has_no_empty_columns(ask: Ask) -> None:
    shown = ask("DESCRIBE TABLE actions").stdout
    assert shown.split()[:3] == ["name", "type", "comment"]


def test_a_url_with_one_slash_is_no_folder(tmp_path: Path) -> None:
    result = run_cli("sql", "SELECT 1", "--store", "clickhouse:/typo", folder=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "clickhouse://" in result.stderr


def test_a_folder_that_is_none_is_said_so_by_schema_and_sql_alike(tmp_path: Path) -> None:
    (tmp_path / "afile").touch()
    for command in (["schema", "status"], ["sql", "SELECT 1"]):
        missing = run_cli(*command, "--store", "./none", folder=tmp_path)
        assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
        assert f"there is no data folder {tmp_path}/none" in missing.stderr
        file = run_cli(*command, "--store", "./afile", folder=tmp_path)
        assert (file.returncode, file.stderr.count("\n")) == (2, 1)
        assert f"{tmp_path}/afile is a file, not a data folder" in file.stderr


def test_the_schema_of_a_running_up_can_be_looked_at_and_applying_it_changes_nothing(
    folder: Path, url: str, applied: Path
) -> None:
    shown = run_cli("schema", "status", "--store", url, folder=folder)
    direct = run_cli("schema", "status", "--store", str(applied), folder=folder)
    assert (shown.returncode, shown.stdout) == (0, direct.stdout)
    again = run_cli("schema", "apply", "--store", url, folder=folder)
    assert (again.returncode, again.stdout) == (0, f"{url}: 0 migrations applied, up to date\n")


def test_a_second_up_is_told_of_the_first(folder: Path, url: str) -> None:
    same_port = run_cli("up", "--data", f"{folder}/other", "--listen", url.partition("//")[2], folder=folder)
    assert (same_port.returncode, same_port.stderr.count("\n")) == (2, 1)
    assert f"a fanlight up runs at {url} already" in same_port.stderr
    assert not (folder / "other").exists()
    same_folder = run_cli("up", "--data", f"{folder}/data", "--listen", "127.0.0.1:0", folder=folder)
    assert (same_folder.returncode, same_folder.stderr.count("\n")) == (2, 1)
    assert "open in process" in same_folder.stderr
    assert "--store http://127.0.0.1:PORT" in same_folder.stderr


def test_an_up_into_another_up_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    result = run_cli("up", "--store", "http://127.0.0.1:9", folder=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "up cannot write into another up" in result.stderr
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:9" in result.stderr


def test_a_folder_that_may_not_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    for open_it in (lambda: check_permission(f"chdb://{tmp_path}"), lambda: open_reader(str(tmp_path))):
        with pytest.raises(CommandError, match="Permission denied") as refused:
            open_it()
        assert refused.value.exit_code == 2

"""How the command line fails: one line, unless somebody asks for more; and the figures that it prints."""

import sys

import pytest

from fanlight_collectors.cli import caret, figures, through_up
from fanlight_collectors.cli.errors import CommandError, show_unexpected


def unexpected() -> BaseException:
    try:
        raise KeyError("what\nnobody foresaw")
    except KeyError as error:
        return error


def test_what_nobody_foresaw_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FANLIGHT_DEBUG", raising=False)
    error = unexpected()
    show_unexpected(type(error), error, error.__traceback__)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "KeyError" in said
    assert "FANLIGHT_DEBUG=1" in said


def test_debug_shows_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FANLIGHT_DEBUG", "1")
    error = unexpected()
    show_unexpected(type(error), error, error.__traceback__)
    assert "Traceback" in capsys.readouterr().err
    assert sys.excepthook is not show_unexpected


def test_a_caret_counts_characters_where_clickhouse_counts_bytes() -> None:
    sql = "SELECT 'é日本' AS x FRM t"
    position = len(sql[: sql.index("FRM")].encode()) + 1
    shown = caret.explain(
        f"Syntax error: failed at position {position} (FRM) (line 1, col {position}): FRM t", sql
    )
    _, line, mark = shown.splitlines()
    assert mark.index("^") == line.index("FRM")


def test_what_a_server_s_client_puts_before_the_message_is_left_out() -> None:
    said = (
        "Received ClickHouse exception, code: 60, server response: Code: 60. DB::Exception: Unknown table x"
    )
    assert caret.shorten(said) == "Unknown table x"


def test_a_message_without_a_position_is_shown_alone() -> None:
    assert (
        caret.explain("Code: 241. DB::Exception: Memory limit exceeded", "SELECT 1")
        == "Memory limit exceeded"
    )


def test_unknown_is_never_zero() -> None:
    assert figures.count(None) == figures.figure(None) == figures.duration(None) == "-"
    assert figures.bounded(None, None, None) == "unknown"
    assert figures.figure(0) == "0"


def test_figures_have_three_digits_that_count() -> None:
    assert [figures.figure(x) for x in (16.357, 0.0123, 999.6, 12345.6)] == [
        "16.4",
        "0.0123",
        "1,000",
        "12,346",
    ]
    assert figures.bounded(1.2, 0.8, 3.1) == "1.20 (0.800 to 3.10)"


def test_an_up_whose_token_cannot_be_read_says_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FANLIGHT_SQL_TOKEN", raising=False)
    with pytest.raises(CommandError, match="/no/such/folder/sql-token") as refused:
        through_up._token("http://127.0.0.1:4318", {"data_folder": "/no/such/folder"})
    assert refused.value.exit_code == 2
    monkeypatch.setenv("FANLIGHT_SQL_TOKEN", "given")
    assert through_up._token("http://127.0.0.1:4318", {"data_folder": "/no/such/folder"}) == "given"

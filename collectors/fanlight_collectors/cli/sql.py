"""`fanlight sql`: one SELECT, answered as a table, JSON, CSV or TSV."""

import re
import sys
from contextlib import closing
from typing import Annotated, Literal

import typer

from fanlight_collectors.cli.caret import explain
from fanlight_collectors.cli.errors import CommandError, unusable
from fanlight_collectors.cli.output import (
    Cells,
    Rows,
    busy,
    parse_rows,
    show_cells,
    show_rows,
    terminal,
    write_bytes,
    write_json,
)
from fanlight_collectors.cli.target import Reader, StoreOption, open_reader

VIEWS = (
    "actions",
    "model_calls",
    "fanout_by_action",
    "fanout_by_action_daily",
    "fanout_by_user",
    "fanout_hourly",
    "gpu_demand_by_user",
    "gpu_demand_by_user_daily",
    "gpu_demand_by_action",
    "gpu_demand_by_model",
    "gpu_demand_hourly",
    "gpu_hardware",
    "cascade_shapes",
    "branching_by_hop",
    "latency_by_action",
    "inference_speedup",
    "rejects_by_reason",
    "unknown_attributes",
)
VIEW = re.compile(r".*CREATE OR REPLACE VIEW (?P<name>\w+)\b.*COMMENT '(?P<comment>[^']*)';?", re.DOTALL)
MACHINE_FORMATS = {"csv": "CSVWithNames", "tsv": "TSVWithNames"}


def sql(
    statement: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SELECT",
            help="The statement in quotes, - to read it from stdin, or nothing to list the views.",
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[
        Literal["table", "json", "csv", "tsv"], typer.Option("--format", "-f", help="How to print the rows.")
    ] = "table",
    store: StoreOption = None,
) -> None:
    """Ask the store anything, in ClickHouse SQL; without a statement, list the views there are.

    SELECT, EXPLAIN and DESCRIBE TABLE are answered. DESCRIBE TABLE tells each column and its unit.

    Examples:
      fanlight sql
      fanlight sql "DESCRIBE TABLE actions"
      fanlight sql "SELECT * FROM fanout_by_user"
      fanlight sql "SELECT user_id, requests FROM actions LIMIT 5" --format csv
      fanlight sql - < my_question.sql
    """
    if not statement:
        show_views()
        return
    if len(statement) > 1:
        raise unusable('quote the statement, so that the shell leaves it whole: fanlight sql "SELECT ..."')
    text = sys.stdin.read() if statement == ["-"] else statement[0]
    if not text.strip():
        raise unusable('the statement is empty; give one, for example: fanlight sql "SELECT * FROM actions"')
    with busy("asking"), closing(open_reader(store, guarded=True)) as reader:
        answer = ask(reader, text, MACHINE_FORMATS.get(output_format, "JSONCompact"))
    if output_format in MACHINE_FORMATS:
        write_bytes(answer)
    elif output_format == "json":
        write_json(parse_rows(answer))
    else:
        rows = parse_rows(answer)
        show_rows(terminal(), without_empty_columns(rows) if _describes(text) else rows)


def show_views() -> None:
    """The public views and what a row of each is."""
    comments = view_comments()
    rows = [[name, comments[name]] for name in VIEWS]
    show_cells(terminal(), Cells(["view", "what it has"], [False, False], rows))


def view_comments() -> dict[str, str]:
    """What the schema says of each of its views."""
    from fanlight_schema import migrate

    found = (VIEW.fullmatch(migration.sql.strip()) for migration in migrate.migrations())
    return {match["name"]: match["comment"] for match in found if match}


def without_empty_columns(rows: Rows) -> Rows:
    """The rows without the columns that are empty in all of them, as most of DESCRIBE TABLE's are."""
    kept = [i for i in range(len(rows.columns)) if any(row[i] not in ("", None) for row in rows.rows)]
    return Rows([rows.columns[i] for i in kept], [[row[i] for i in kept] for row in rows.rows])


def _describes(text: str) -> bool:
    return text.split(maxsplit=1)[0].upper() in ("DESCRIBE", "DESC")


def ask(reader: Reader, text: str, output_format: str) -> bytes:
    """The answer; CommandError with the place in the statement where ClickHouse refuses it."""
    from fanlight_schema.store import QueryError

    try:
        return reader.query_bytes(text, output_format)
    except QueryError as error:
        raise CommandError(explain(error.message, text)) from error

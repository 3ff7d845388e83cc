"""The command line as a whole: its commands, its version, and how errors become exit codes."""

import importlib.metadata
import io
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from fanlight_collectors.cli import rates, schema
from fanlight_collectors.cli.caret import shorten
from fanlight_collectors.cli.demo import demo
from fanlight_collectors.cli.doctor import doctor
from fanlight_collectors.cli.errors import FAILED, UNUSABLE, CommandError, debug_wanted, show_unexpected
from fanlight_collectors.cli.import_files import import_
from fanlight_collectors.cli.prose import help_text
from fanlight_collectors.cli.run import run
from fanlight_collectors.cli.scrape import scrape
from fanlight_collectors.cli.sql import sql
from fanlight_collectors.cli.stats import stats
from fanlight_collectors.cli.trace import trace
from fanlight_collectors.cli.up import up
from fanlight_schema.store import QueryError, StoreError, StoreUnavailable

HELP = {"help_option_names": ["-h", "--help"]}
ANY_ARGUMENTS: dict[str, Any] = {"ignore_unknown_options": True, "allow_interspersed_args": False}
RATES_HELP = "Show, fit and write the rate cards that turn work into GPU-seconds."
SCHEMA_HELP = "Make, check or print fanlight's tables and views in a ClickHouse database."


class PlainCommand(TyperCommand):
    """A command whose messages for wrong values are without the words that pydantic puts before them, and
    whose help names no Python types where there is nothing to choose: of flags and arguments."""

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override]  # typer hides its Context's base
        return without_types(super().get_params(ctx))

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer hides its Context's base
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


class PlainGroup(TyperGroup):
    """A group of commands with the same help."""

    def get_params(self, ctx: typer.Context) -> list[Any]:  # type: ignore[override]  # typer hides its Context's base
        return without_types(super().get_params(ctx))


def without_types(parameters: Sequence[Any]) -> list[Any]:
    """The parameters, of which flags and arguments are shown without `<bool>` and `<list[str]>`."""
    for one in parameters:
        if one.param_type_name == "argument" or getattr(one, "is_flag", False):
            one.display_type_rich = lambda ctx: None
    return list(parameters)


def _group(**options: Any) -> typer.Typer:
    return typer.Typer(
        cls=PlainGroup,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings=HELP,
        **options,
    )


def _add(group: typer.Typer, command: Callable[..., None], name: str | None = None, **settings: Any) -> None:
    """Add a command; a message for wrong usage and --help are the same for all."""
    options = group.command(
        name, cls=PlainCommand, help=help_text(command), context_settings={**HELP, **settings}
    )
    options(command)


app = _group(name="fanlight")
schema_app = _group(name="schema", help=SCHEMA_HELP)
rates_app = _group(name="rates", help=RATES_HELP)
_add(app, up)
_add(app, demo)
_add(app, run, **ANY_ARGUMENTS)
_add(app, stats)
_add(app, trace)
_add(app, sql)
_add(app, import_, "import")
_add(app, scrape)
_add(app, doctor)
app.add_typer(schema_app)
_add(schema_app, schema.apply)
_add(schema_app, schema.status)
_add(schema_app, schema.print_sql, "sql")
_add(schema_app, schema.rollback_plan, "rollback-plan")
app.add_typer(rates_app)
_add(rates_app, rates.show)
_add(rates_app, rates.calibrate)
_add(rates_app, rates.import_cards, "import")
_add(rates_app, rates.export)
_add(rates_app, rates.add_model, "add-model")


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"fanlight {importlib.metadata.version('fanlight')}\n")
        raise typer.Exit


def fanlight(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The real fan-out and the GPU-seconds of every user action of an agentic LLM workload.

    Start with `fanlight demo`. Then, for a program of yours:
      fanlight up                          in one terminal
      fanlight run -- python my_agent.py   in another
      fanlight stats                       what it did
    """


app.callback(help=help_text(fanlight), context_settings=HELP)(fanlight)


def run_command(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code."""
    sys.excepthook = show_unexpected
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a terminal without line-drawing characters gets question marks
    try:
        app(list(arguments), prog_name="fanlight")
    except CommandError as error:
        return _fail(error, error.exit_code)
    except StoreUnavailable as error:
        return _fail(error, UNUSABLE)
    except QueryError as error:
        return _fail(CommandError(shorten(error.message)), FAILED)
    except StoreError as error:
        return _fail(error, FAILED)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    return 0


def _fail(error: Exception, exit_code: int) -> int:
    if debug_wanted():
        raise error
    sys.stderr.write(f"fanlight: {error}\n")
    return exit_code

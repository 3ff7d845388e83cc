"""The `fanlight` command. `main` is the console script; every command is a small module of this package."""

import importlib.metadata
import importlib.util
import sys

COLLECTOR_MODULES = ("typer", "rich", "httpx", "starlette", "uvicorn", "clickhouse_connect")


def main() -> int:
    """Run the command line; the exit code: 0 done, 1 failed, 2 wrong usage or environment."""
    missing = [name for name in COLLECTOR_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        return _without_collector(sys.argv[1:], missing)
    from fanlight_collectors.cli.app import run_command

    return run_command(sys.argv[1:])


def _without_collector(arguments: list[str], missing: list[str]) -> int:
    """What the command says where only the tracer is installed."""
    install = "pip install 'fanlight[collector]'"
    if arguments == ["--version"]:
        sys.stdout.write(f"fanlight {importlib.metadata.version('fanlight')}\n")
        return 0
    if arguments in (["--help"], ["-h"]):
        sys.stdout.write(
            "Only fanlight's tracer is installed here: `import fanlight` in a program works.\n"
            "The commands (up, demo, run, stats, trace, sql, import, schema, rates, doctor) come with: "
            f"{install}\n"
        )
        return 0
    sys.stderr.write(f"fanlight: this command needs {', '.join(missing)}; install it with: {install}\n")
    return 2

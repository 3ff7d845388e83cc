"""The `fanlight` command. `main` is the console script; every command is a small module of this package."""

import importlib.util
import sys

COLLECTOR_MODULES = ("typer", "rich", "httpx", "starlette", "uvicorn", "clickhouse_connect")


def main() -> int:
    """Run the command line; the exit code: 0 done, 1 failed, 2 wrong usage or environment."""
    missing = [name for name in COLLECTOR_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"fanlight: this command needs {', '.join(missing)}; install it with: "
            "pip install 'fanlight[collector]'\n"
        )
        return 2
    from fanlight_collectors.cli.app import run_command

    return run_command(sys.argv[1:])

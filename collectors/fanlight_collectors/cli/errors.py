"""How a command fails: one line that says what happened and what to do, and an exit code."""

import os
import sys
from types import TracebackType

FAILED = 1  # the command ran and did not succeed
UNUSABLE = 2  # wrong usage, or an environment in which it cannot run


class CommandError(Exception):
    """A failure that is shown as `fanlight: message` and ends the command with exit_code."""

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def unusable(message: str) -> CommandError:
    """An error of usage or environment (exit code 2)."""
    return CommandError(message, UNUSABLE)


def debug_wanted() -> bool:
    """Whether FANLIGHT_DEBUG asks for tracebacks."""
    return os.environ.get("FANLIGHT_DEBUG", "") not in ("", "0")


def show_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """As `sys.excepthook`: what nobody foresaw, in one line (the traceback with FANLIGHT_DEBUG=1)."""
    if debug_wanted():
        sys.__excepthook__(kind, error, trace)
        return
    text = " ".join(str(error).split())
    sys.stderr.write(
        f"fanlight: unexpected {kind.__name__}: {text} (a bug in fanlight; FANLIGHT_DEBUG=1 shows where)\n"
    )

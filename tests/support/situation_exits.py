"""The situations of a process's end: `situation_exits.py NAME sync|async bare|traced`, with BASE_URL set.

A call is made, sync or inside a running loop, and there the process ends as the situation's name says.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable

from situation_asks import ask, ask_async, ask_in_loop, wait_for_arrival
from situation_calls import switched_on


def exit_normal() -> None:
    """Nothing is left to do."""


def exit_sys_exit() -> None:
    sys.exit(3)


def exit_exception() -> None:
    raise ValueError("of the app")


def exit_os__exit() -> None:
    os._exit(4)


def exit_sigterm() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def exit_sigint() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def exit_sigkill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


exit_sigterm_midcall = exit_normal  # whoever runs it kills it when its request has arrived


def exit_daemon_thread_inflight(asking: Callable[[], object]) -> None:
    threading.Thread(target=asking, daemon=True).start()
    wait_for_arrival(os.environ["BASE_URL"])


async def ask_and_end(end: Callable[[], None]) -> None:
    print(await ask_async(), flush=True)
    end()


def main(name: str, kind: str, mode: str) -> None:
    end = globals()[name]
    with switched_on(mode)(name):
        if name == "exit_daemon_thread_inflight":
            end(ask_in_loop if kind == "async" else ask)
        elif kind == "async":
            asyncio.run(ask_and_end(end))
        else:
            print(ask(), flush=True)
            end()


if __name__ == "__main__":
    main(*sys.argv[1:])

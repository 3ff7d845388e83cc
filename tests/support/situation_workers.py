"""The situations with processes that a program starts: each is a function of its name.

    situation_workers.py sync|async bare|traced URLS

As situation_calls.py; what the app sees are the answers of its workers and how they ended.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from situation_asks import ASKS
from situation_calls import switched_on

Ask = Callable[..., int]
FORK = multiprocessing.get_context("fork")
SPAWN = multiprocessing.get_context("spawn")
ASKING_PROGRAM = Path(__file__).with_name("situation_asks.py")


def mp_fork_with(ask: Ask, mode: str) -> Any:
    with FORK.Pool(2) as pool:
        return pool.map(ask, range(4))


def mp_fork_close_join(ask: Ask, mode: str) -> Any:
    return _closed_and_joined(FORK.Pool(2), ask)


def mp_spawn_noinit(ask: Ask, mode: str) -> Any:
    return _closed_and_joined(SPAWN.Pool(2), ask)


def mp_spawn_init(ask: Ask, mode: str) -> Any:
    return _closed_and_joined(SPAWN.Pool(2, switched_on, (mode,)), ask)


def _closed_and_joined(pool: Any, ask: Ask) -> Any:
    answers = pool.map(ask, range(4))
    pool.close()
    pool.join()
    return answers


def mp_process_fork(ask: Ask, mode: str) -> Any:
    worker = FORK.Process(target=ask)
    worker.start()
    worker.join()
    return worker.exitcode


def ppe_fork(ask: Ask, mode: str) -> Any:
    with ProcessPoolExecutor(2, mp_context=FORK) as pool:
        return list(pool.map(ask, range(4)))


def subprocess_setup(ask: Ask, mode: str) -> Any:
    return _program(ask, *(["set-up"] if mode == "traced" else []))


def subprocess_nosetup(ask: Ask, mode: str) -> Any:
    return _program(ask, "short")


def _program(ask: Ask, *arguments: str) -> Any:
    kind = next(kind for kind, known in ASKS.items() if known is ask)
    done = subprocess.run(
        [sys.executable, str(ASKING_PROGRAM), kind, *arguments], capture_output=True, text=True, check=False
    )
    return [done.returncode, done.stdout, done.stderr]


def fork_wait6_os_exit(ask: Ask, mode: str) -> Any:
    """Its workers end sooner than those of the comparison, which is harder: no timer has run out."""

    def work() -> None:
        ask()
        ask()
        os._exit(0)

    return _forked(work)


def fork_sys_exit(ask: Ask, mode: str) -> Any:
    def work() -> None:
        ask()
        ask()
        sys.exit(3)

    return _forked(work)


def fork_sigterm_worker(ask: Ask, mode: str) -> Any:
    reading, writing = os.pipe()

    def work() -> None:
        ask()
        os.write(writing, b"x")
        time.sleep(60)  # until the test kills it, which is what it shows

    return _forked(work, lambda: [os.read(reading, 1) for _ in range(3)], signal.SIGTERM)


def _forked(work: Callable[[], None], ready: Callable[[], Any] = list, kill: int | None = None) -> list[int]:
    """Three workers of a prefork server, and how each ended."""
    workers = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            work()
        workers.append(pid)
    ready()
    if kill is not None:
        for pid in workers:
            os.kill(pid, kill)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in workers]


def main(kind: str, mode: str, urls: str) -> None:
    action = switched_on(mode)
    told = {}
    for name, url in json.loads(urls).items():
        os.environ["BASE_URL"] = url
        with action(name):
            told[name] = globals()[name](ASKS[kind], mode)
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])

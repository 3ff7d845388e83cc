"""Running something before a process ends: an ordinary one, and a worker of multiprocessing.

A worker that multiprocessing forked ends with `os._exit`, which runs no `atexit` handler, but its own
finalisers. It clears those of its parent first and then calls what was registered as to be run after a fork.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable

AFTER_ALL_OTHERS = -100  # multiprocessing runs finalisers from the highest priority to the lowest


class ExitHook:
    """Calls `function` once this process, or a worker that it forks, is about to end."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        atexit.register(function)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._watch_multiprocessing)
        self._watch_multiprocessing()
        if _in_running_worker():
            self._finalise_in_worker()

    def _watch_multiprocessing(self) -> None:
        util = sys.modules.get("multiprocessing.util")  # a worker's process has it loaded
        if util is not None:
            util.register_after_fork(self, ExitHook._finalise_in_worker)

    def _finalise_in_worker(self) -> None:
        from multiprocessing import util

        util.Finalize(None, self._run_in_worker, exitpriority=AFTER_ALL_OTHERS)

    def _run_in_worker(self) -> None:
        """multiprocessing runs finalisers while other threads still work, and waits for those afterwards."""
        if _threads_to_wait_for():
            threading.Thread(target=self._run_last, name="fanlight-exit").start()
        else:
            self._function()

    def _run_last(self) -> None:
        while others := _threads_to_wait_for():
            others[0].join()
        self._function()


def _threads_to_wait_for() -> list[threading.Thread]:
    """The threads whose end multiprocessing waits for, but for the calling and the main one."""
    not_these = (threading.current_thread(), threading.main_thread())
    return [thread for thread in threading.enumerate() if not thread.daemon and thread not in not_these]


def _in_running_worker() -> bool:
    """Whether multiprocessing has started this process and registered what its workers run at their end."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None

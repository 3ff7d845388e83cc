"""Running something before a process ends: an ordinary one, and a worker of multiprocessing.

A worker that multiprocessing forked ends with `os._exit`, which runs no `atexit` handler, but its own
finalisers. It clears those of its parent first and then calls what was registered as to be run after a fork.
"""

from __future__ import annotations

import atexit
import os
import sys
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

        util.Finalize(None, self._function, exitpriority=AFTER_ALL_OTHERS)


def _in_running_worker() -> bool:
    """Whether multiprocessing has started this process and registered what its workers run at their end."""
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None

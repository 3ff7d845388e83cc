"""A `fanlight up` to measure, its CPU time, and SQL through its own door."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import support_path  # noqa: F401

from running import Up, running_up

PART_FOLDER = re.compile(r"\w+_\d+_\d+_\d+(_\d+)?")
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def embedded_up() -> Iterator[Up]:
    """A collector with an empty embedded store on this machine's own disk."""
    folder = Path(tempfile.mkdtemp(prefix="fanlight-bench-"))
    try:
        with running_up(f"chdb://{folder}/data", folder) as up:
            yield up
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, all of its threads, user and system (Linux, proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


def rss_mb(pid: int) -> float:
    """Memory that a process holds now, in MB (Linux, proc(5))."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def parts(up: Up) -> int:
    """Parts on the disk of all tables, those included that a merge has replaced and nobody removed yet."""
    folders = (up.log.parent / "data" / "store").glob("*/*/*")
    return sum(PART_FOLDER.fullmatch(folder.name) is not None for folder in folders)

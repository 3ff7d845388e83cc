"""The folder that spool files lie in, and the lock that tells a living process's file from a dead one's.

The lock is `flock`: it belongs to the open file, ends with its process however that ends, holds between
containers that share the folder, and has nothing to do with process ids. Where it does not exist (Windows)
there is no spool.
"""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

if sys.platform != "win32":
    import fcntl

SUFFIX: Final = ".spool"
MAX_FILES: Final = 10_000  # ours; a folder with more is not written to any more
_OPEN: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class FolderRefused(OSError):
    """The folder is not this user's alone; the message says why."""


def locks() -> bool:
    """Whether this system has the lock that a spool needs."""
    return sys.platform != "win32"


def default_folder() -> Path:
    """This user's folder: on local disk, there after a restart, and found without a home or a variable.

    FHS 3.0, /var/tmp: "temporary files preserved between system reboots".
    """
    return Path("/var/tmp", f"fanlight-{os.geteuid() if hasattr(os, 'geteuid') else 0}")


def ready_folder(folder: Path) -> None:
    """Make the folder, for this user alone, if it is not there. Raises FolderRefused and OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise FolderRefused(f"{folder} is no folder (a link is not followed)")
    if found.st_uid != os.geteuid():
        raise FolderRefused(f"{folder} belongs to user {found.st_uid}, not to user {os.geteuid()}")
    if found.st_mode & 0o022:
        raise FolderRefused(f"others may write to {folder}: chmod go-w it")


def new_file(folder: Path) -> tuple[int, Path]:
    """A new locked file of mode 0600, to be appended to: its descriptor and its path. Raises OSError."""
    while True:
        path = folder / (secrets.token_hex(12) + SUFFIX)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | _OPEN, 0o600)
        try:
            if _lock(descriptor) and os.fstat(descriptor).st_nlink:
                return descriptor, path
        except OSError:
            os.unlink(path)
            os.close(descriptor)
            raise
        os.close(descriptor)  # a reader held it in the moment before the lock, and took it for a dead one's


def lock_file(path: Path) -> int | None:
    """A descriptor that holds the lock of a file, None if that is not to be had: its process lives.

    None also for what is no plain file of this user's, and for one that is gone.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | _OPEN)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        if own and _lock(descriptor) and os.fstat(descriptor).st_nlink:
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def spool_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """The spool files of a folder, dead and alive; none where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            yield from (entry for entry in entries if entry.name.endswith(SUFFIX))
    except OSError:
        return


def folder_bytes(folder: Path) -> int:
    """What all spool files take; a number that nothing fits beside where there are too many files."""
    total = 0
    for count, entry in enumerate(spool_files(folder)):
        if count >= MAX_FILES:
            return 2**63
        try:
            total += entry.stat(follow_symlinks=False).st_size
        except OSError:  # delivered meanwhile
            continue
    return total

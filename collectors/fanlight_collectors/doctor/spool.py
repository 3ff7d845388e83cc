"""What programs that died left on this machine, and nobody has delivered."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fanlight_collectors.doctor.findings import Finding
from fanlight_schema.sizes import size_text
from fanlight_schema.spool.folder import lock_file, spool_files

STALE_S: Final = 600.0  # an up that runs takes it in within seconds


def findings(folder: Path, now_s: float | None = None) -> Iterator[Finding]:
    """One finding where files of dead processes have been lying for ten minutes."""
    now = time.time() if now_s is None else now_s
    sizes = [size for entry in spool_files(folder) if (size := _stale_bytes(entry, now - STALE_S))]
    if sizes:
        yield Finding(
            "wrong",
            f"{len(sizes)} processes that ended left {size_text(sum(sizes))} of spans in {folder}",
            "start `fanlight up`, or any traced program, as this user: it delivers them",
        )


def _stale_bytes(entry: "os.DirEntry[str]", before_s: float) -> int:
    """Size of a file that no process writes to and that was not written since; 0 for any other."""
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:  # delivered meanwhile
        return 0
    descriptor = lock_file(Path(entry.path)) if found.st_mtime < before_s else None
    if descriptor is None:
        return 0
    os.close(descriptor)
    return found.st_size

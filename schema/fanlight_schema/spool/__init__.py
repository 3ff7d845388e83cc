"""What processes leave on disk of their spans, so that one that dies loses none: the format and its readers.

A traced process appends records to a file of its own and holds a lock on it. A file that can be locked is a
dead process's, and whoever has the lock delivers what is in it:

    for dead in dead_processes(folder, wanted=lambda target: target == mine):
        with dead:
            for request, spans in dead.requests(4 * 2**20):
                ...                                  # deliver it
            dead.remove()                            # after the acknowledgement of all

The tracer writes and reads it, `fanlight up` reads it; neither imports the other.
"""

from fanlight_schema.spool.dead import DeadProcess, dead_processes
from fanlight_schema.spool.folder import (
    FolderRefused,
    default_folder,
    folder_bytes,
    locks,
    new_file,
    ready_folder,
)
from fanlight_schema.spool.records import Head, Kind, frame, frame_head, target_of

__all__ = [
    "DeadProcess",
    "FolderRefused",
    "Head",
    "Kind",
    "dead_processes",
    "default_folder",
    "folder_bytes",
    "frame",
    "frame_head",
    "locks",
    "new_file",
    "ready_folder",
    "target_of",
]

"""The sender of the protocol that is asked for, imported when the first spans are to be sent.

http.client and ssl take longer to import than all of fanlight, so that is left to the export thread. A fork
in the middle of an import leaves the module locked for good in the child (CPython keeps a lock per module
and frees only the global one), so a fork waits for it.
"""

from __future__ import annotations

import os
import threading

from fanlight._config import Config
from fanlight._export import Sender
from fanlight._guard import logger

_importing = threading.RLock()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_importing.release
    )


def make_sender(config: Config) -> Sender:
    """The sender for `config.protocol`; HTTP where gRPC is not installed."""
    with _importing:
        "".encode("idna")  # what the first name look-up would import otherwise
        if config.protocol == "grpc":
            try:
                from fanlight._grpc import GrpcSender
            except ImportError:
                logger.warning('OTLP over gRPC needs `pip install "fanlight[grpc]"`; sending over HTTP')
            else:
                return GrpcSender(config)
        from fanlight._http import HttpSender

        return HttpSender(config)

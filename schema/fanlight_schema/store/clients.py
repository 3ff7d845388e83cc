"""A pool of clients on one target, and the border at which the driver's errors become ours."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .engines import open_client, reason_of
from .errors import QueryError, StoreUnavailable
from .urls import Target

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class ClientPool:
    """Lends each client to one thread at a time; opens a further one when all are lent."""

    def __init__(self, target: Target, database: str, first: "Client") -> None:
        self._target = target
        self._database = database
        self._lock = threading.Lock()
        self._idle: list[Client] = []
        self._closed = False
        first.database = database
        self._idle.append(first)

    @contextmanager
    def lend(self, *, keep: bool = True) -> Iterator["Client"]:
        """A client for the length of the block; `keep=False` opens one and closes it after use.

        That one must be new: with its last client the embedded engine lets go of the folder's lock.
        """
        client = self._take() if keep else self._open()
        try:
            yield client
        finally:
            self._give_back(client, keep)

    def close(self) -> None:
        """Closes idle clients now and lent ones when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()

    def _take(self) -> "Client":
        with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed; open it again with open_store()")
            if self._idle:
                return self._idle.pop()
        return self._open()

    def _open(self) -> "Client":
        client = open_client(self._target)
        client.database = self._database
        return client

    def _give_back(self, client: "Client", keep: bool) -> None:
        with self._lock:
            if keep and not self._closed:
                self._idle.append(client)
                return
        client.close()


@contextmanager
def our_errors(shown: str) -> Iterator[None]:
    """Turns the driver's errors into ours; no code in an operational one means that nobody answered."""
    from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError

    try:
        yield
    except ClickHouseError as exc:
        code = exc.code if isinstance(exc, Error) else None
        if code is None and isinstance(exc, OperationalError):
            raise StoreUnavailable(f"{shown} does not answer: {reason_of(exc)}") from exc
        raise QueryError(_without_format(str(exc)), code) from exc


def _without_format(message: str) -> str:
    """The message less the FORMAT clause that the client itself has added to the statement."""
    return message.replace("\n FORMAT Native", "").strip()

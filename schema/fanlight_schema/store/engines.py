"""Opens clickhouse-connect clients on a target: the one place that imports a database driver.

Both engines speak through the same client class. A client of the embedded engine runs one statement at a time
(its handle is locked), so a Store keeps a few of them; opening a further one takes 16 ms.
"""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import StoreError, StoreLocked, StoreUnavailable
from .urls import EmbeddedTarget, ServerTarget, Target

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

# One timestamp that is far off, or a batch over 150 days, must not have its whole batch rejected
# (ClickHouse's default is at most 100 partitions a block).
# An insert runs the views' long expressions once; compiling them to machine code cost 40 of its 135 ms of CPU
# (26.9, one row, measured).
# On a cluster an insert is answered when every shard has its rows, and shards are sent what a subquery found.
SETTINGS: dict[str, object] = {
    "max_partitions_per_insert_block": 0,
    "compile_expressions": 0,
    "distributed_foreground_insert": 1,
    "distributed_product_mode": "global",
}
# The embedded engine takes the host's time zone; days and times in the store are UTC wherever it is opened.
EMBEDDED_SETTINGS = SETTINGS | {"session_timezone": "UTC"}
CONNECT_TIMEOUT_S = 10
NETWORK_REASONS = (
    "Connection refused",
    "Name or service not known",
    "timed out",
    "certificate verify failed",
)
ACCESS_CODES = frozenset({192, 193, 194, 497, 516})  # ClickHouse: unknown user, wrong password, access denied


def open_client(target: Target) -> "Client":
    """A client on the engine's default database; setting its `database` changes that for every statement."""
    try:
        import clickhouse_connect  # noqa: F401
    except ImportError as exc:
        raise StoreError("the ClickHouse client is missing: pip install 'fanlight[collector]'") from exc
    # Python's last-resort handler would print the driver's warnings beside our own one-line errors.
    logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
    if isinstance(target, EmbeddedTarget):
        return _open_embedded(target)
    return _open_server(target)


def _open_embedded(target: EmbeddedTarget) -> "Client":
    from clickhouse_connect import get_client
    from clickhouse_connect.driver.exceptions import ClickHouseError

    try:
        target.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise StoreUnavailable(f"cannot make the data folder {target.folder}: {exc.strerror}") from exc
    _refuse_if_held(target.folder)
    try:
        return get_client(
            interface="chdb",
            path=str(target.folder),
            settings=dict(EMBEDDED_SETTINGS),
            tz_mode="aware",
            show_clickhouse_errors="scrub",
        )
    except ImportError as exc:
        raise StoreError("the embedded engine is missing: pip install 'fanlight[collector]'") from exc
    except ClickHouseError as exc:
        raise _why_not_opened(target.folder, str(exc)) from exc


def _why_not_opened(folder: Path, message: str) -> StoreUnavailable:
    if "already initialized with path" in message:
        return StoreUnavailable(
            f"cannot open {folder}: this process has another data folder open, and the engine allows one"
        )
    reason = message.partition("Stack trace")[0].splitlines()[0]
    return StoreUnavailable(f"cannot open the data folder {folder}: {reason}")


def _refuse_if_held(folder: Path) -> None:
    """Raises StoreLocked if another process holds the engine's lock on `folder`/status.

    The engine would find out itself, but prints it on stderr and then fails without a reason. The file's
    first line is the holder's process id.
    """
    import fcntl  # absent on Windows, where there is no embedded engine either

    try:
        with open(folder / "status") as status:
            try:
                fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = status.readline().removeprefix("PID:").strip()
            else:
                return
    except OSError:
        return
    if pid == str(os.getpid()):
        return
    holder = f"process {pid}" if pid.isdigit() else "another process"
    raise StoreLocked(
        f"{folder} is open in {holder}; stop it, or, if it is a fanlight up, go through it with "
        "--store http://ADDRESS, the one it listens on (127.0.0.1:4318 unless set)"
    )


def _open_server(target: ServerTarget) -> "Client":
    from clickhouse_connect import get_client
    from clickhouse_connect.driver.exceptions import ClickHouseError, Error

    try:
        client = get_client(
            interface="https" if target.secure else "http",
            host=target.host,
            port=target.port,
            username=target.user,
            password=target.password,
            database="__default__",
            connect_timeout=CONNECT_TIMEOUT_S,
            tz_mode="aware",
            show_clickhouse_errors="scrub",
            autogenerate_session_id=False,  # a session takes one statement at a time
            dedicated_pool=True,  # closed with the client
        )
    except ClickHouseError as exc:
        code = exc.code if isinstance(exc, Error) else None
        if code in ACCESS_CODES:
            raise StoreUnavailable(f"{target.shown} refused the log-in; check user and password") from exc
        raise StoreUnavailable(f"{target.shown} cannot be reached: {reason_of(exc)}") from exc
    if client.server_settings["readonly"].value != "1":  # who may only read may change no setting either
        for name, value in SETTINGS.items():
            client.set_client_setting(name, value)
    return client


def reason_of(exc: BaseException) -> str:
    """Why a driver's error came about, in a few words and without its request URL."""
    chain = f"{exc} {exc.__cause__}"
    for known in NETWORK_REASONS:
        if known in chain:
            return f"{known}; is the server up, and is it ClickHouse's HTTP port?"
    lines = str(exc).splitlines()
    return lines[0][:300] if lines else type(exc).__name__

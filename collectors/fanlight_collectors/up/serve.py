"""Starts, runs and stops the server; what goes wrong at the start is one line and exit code 2."""

import asyncio
import contextlib
import dataclasses
import logging
import shlex
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import uvicorn

from fanlight_collectors.config import ConfigError, UpConfig
from fanlight_collectors.sqlguard import Guard
from fanlight_collectors.up.access import is_loopback, own_names, write_sql_token
from fanlight_collectors.up.app import Door, Service, build_app
from fanlight_collectors.up.chores import chores
from fanlight_collectors.up.receive import Receiver
from fanlight_collectors.up.samples import SampleEndpoint
from fanlight_collectors.up.spool import SpoolReader, is_own_target
from fanlight_collectors.up.sql import SqlEndpoint
from fanlight_collectors.up.writer import ByteBudget, GroupWriter
from fanlight_schema import migrate
from fanlight_schema.store import Store, StoreError, StoreLocked, open_store

Say = Callable[[str], None]

BAD_START: Final = 2  # exit code
STOP_TIMEOUT_S: Final = 30  # for requests that are being answered when the stop comes
# Exporters send every 5 s (OTEL_BSP_SCHEDULE_DELAY); uvicorn's own 5 s would close connections under them.
KEEP_ALIVE_S: Final = 75
DECODERS: Final = 2  # threads; decoding holds the interpreter lock, so more would only queue elsewhere
SQL_WORKERS: Final = 4  # statements at once


class CannotStart(Exception):
    """Why the server does not start, and what to do, in one line."""


def run_up(config: UpConfig, say: Say | None = None) -> int:
    """Serves until SIGINT or SIGTERM; returns the exit code. `say` gets the lines for the terminal."""
    tell = say or (lambda line: print(line, flush=True))  # noqa: T201 - lines for the terminal are its work
    try:
        _serve(config, tell)
    except (CannotStart, ConfigError, StoreError) as exc:
        print(f"fanlight up: {exc}", file=sys.stderr)  # noqa: T201 - the one line of a failed start
        return BAD_START
    return 0


def _serve(config: UpConfig, say: Say) -> None:
    config.check()
    sender_token = config.sender_token()
    if not sender_token and not is_loopback(config.host):
        raise CannotStart(
            f"{config.listen} can be reached from other machines, so senders need a token: "
            "--token-file FILE (any line of 16 characters or more), or listen on 127.0.0.1:4318"
        )
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listen(config))
        config = _with_real_port(config, listener)
        store = stack.enter_context(_open(config))
        service = _build(config, store, sender_token, stack, say)
        for line in _greeting(config, store):
            say(line)
        service.spool.start()
        for chore in chores(store):
            stack.callback(chore.close)
            chore.start()
        asyncio.run(_run_server(service, listener))
        say("stopped: every span that was acknowledged is in the store")


@contextlib.contextmanager
def _listen(config: UpConfig) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM
        )[0]
    except OSError as exc:
        raise CannotStart(
            f"{config.host} is no address of this machine ({exc.strerror}); see --listen"
        ) from exc
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(1024)
        except OSError as exc:
            raise CannotStart(
                f"cannot listen on {config.listen}: {exc.strerror}; stop what is there or change --listen"
            ) from exc
        yield listener


def _with_real_port(config: UpConfig, listener: socket.socket) -> UpConfig:
    """Port 0 asks the system for a free one."""
    host = config.listen.rpartition(":")[0]
    return dataclasses.replace(config, listen=f"{host}:{listener.getsockname()[1]}")


@contextlib.contextmanager
def _open(config: UpConfig) -> Iterator[Store]:
    try:
        opened = open_store(config.store)
    except StoreLocked as exc:
        held = str(exc).partition("; ")[0]
        raise CannotStart(
            f"{held}; if that is another up, use it: fanlight stats (or sql, import) "
            "--store http://127.0.0.1:PORT with its port, 4318 unless set"
        ) from exc
    with opened as store:
        migrate.apply(store)
        yield store


def _build(
    config: UpConfig, store: Store, sender_token: str, stack: contextlib.ExitStack, say: Say
) -> Service:
    try:
        sql_token = write_sql_token(config.sql_token_path)
    except OSError as exc:
        raise CannotStart(f"cannot write the SQL token {config.sql_token_path}: {exc.strerror}") from exc
    decoders = stack.enter_context(ThreadPoolExecutor(DECODERS, "fanlight-decode"))
    workers = stack.enter_context(ThreadPoolExecutor(SQL_WORKERS, "fanlight-sql"))
    writer = GroupWriter(store)
    stack.callback(writer.close)
    budget = ByteBudget(config.queue_bytes)
    is_own = is_own_target(config.host, config.port)
    spool = SpoolReader(config.spool_folder, is_own, writer, budget, say)
    stack.callback(spool.close)
    return Service(
        Door(config.host, own_names(config.host), sender_token, sql_token),
        Receiver(writer, budget, decoders),
        SqlEndpoint(store, Guard(store), workers),
        SampleEndpoint(store),
        store,
        str(config.sql_token_path.parent) if config.store.startswith("chdb://") else None,
        spool,
    )


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers, which end the process by the signal after a clean stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _run_server(service: Service, listener: socket.socket) -> None:
    server = _Server(
        uvicorn.Config(
            build_app(service),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(
            NotImplementedError, RuntimeError, ValueError
        ):  # not the main thread, or Windows
            loop.add_signal_handler(number, lambda: setattr(server, "should_exit", True))
    await server.serve([listener])


def _greeting(config: UpConfig, store: Store) -> list[str]:
    url = config.local_url
    elsewhere = "" if url == f"http://{config.listen}" else " and at this machine's other addresses"
    return [
        f"fanlight is up on {url}{elsewhere}: OTLP traces at /v1/traces, SQL at /v1/sql",
        f"spans go to {store.url}",
        f"point an app at it:   OTEL_EXPORTER_OTLP_ENDPOINT={url}{_token_variable(config)}",
        f"look at the figures:  fanlight stats --store {url}",
    ]


def _token_variable(config: UpConfig) -> str:
    """What else a sender's environment needs, as a shell takes it; empty where no token is asked for."""
    if not (config.token or config.token_file):
        return ""
    token = "$FANLIGHT_UP_TOKEN" if config.token else f"$(head -n 1 {shlex.quote(config.token_file)})"
    return f' OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer {token}"'

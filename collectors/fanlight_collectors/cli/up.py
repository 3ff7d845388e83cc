"""`fanlight up`: the collector and its store in one process."""

from pathlib import Path
from typing import Annotated

import typer

from fanlight_collectors.cli.errors import unusable
from fanlight_collectors.cli.target import UP_SCHEMES, check_permission, store_url
from fanlight_collectors.cli.through_up import health


def up(
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Keep the data here (default: ./fanlight-data).", show_default=False
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="FANLIGHT_STORE",
            help="Write to a ClickHouse server instead: clickhouse://user:password@host/db.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            envvar="FANLIGHT_UP_LISTEN",
            help="Take OTLP and SQL here (default: 127.0.0.1:4318). Any address but loopback needs a token.",
        ),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            envvar="FANLIGHT_UP_TOKEN_FILE",
            help="File whose first line senders must show as bearer token, "
            "in OTEL_EXPORTER_OTLP_HEADERS as authorization=Bearer TOKEN.",
        ),
    ] = None,
    queue_bytes: Annotated[
        int | None,
        typer.Option(
            metavar="BYTES",
            envvar="FANLIGHT_UP_QUEUE_BYTES",
            help="Request bodies held at once; beyond it senders are told to come back (default: 64 MiB).",
        ),
    ] = None,
) -> None:
    """Take spans over OTLP/HTTP and keep them: collector and database in one process.

    It runs until Ctrl-C. A 200 is answered only when the spans are in the store.

    Examples:
      fanlight up
      fanlight up --data /var/lib/fanlight --listen 127.0.0.1:14318
      fanlight up --store clickhouse://default:secret@localhost
    """
    from fanlight_collectors.config import ConfigError, UpConfig
    from fanlight_collectors.up import run_up

    if data is not None and store is not None:
        raise unusable("--data and --store (or FANLIGHT_STORE) both say where the data goes; give one")
    if store is not None and store.startswith(UP_SCHEMES):
        raise unusable(
            f"up cannot write into another up, which is what {store} is; let apps send there "
            f"(OTEL_EXPORTER_OTLP_ENDPOINT={store}), or name a folder or clickhouse://host/db"
        )
    target = str(data) if data is not None else store
    try:
        config = UpConfig.from_environment(
            store=None if target is None else store_url(target),
            listen=listen,
            token_file=token_file,
            queue_bytes=queue_bytes,
        )
    except ConfigError as error:
        raise unusable(str(error)) from error
    _refuse_a_second_up(config.port)
    check_permission(config.store)
    raise typer.Exit(run_up(config))


def _refuse_a_second_up(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    found = health(url) if port else None
    if found is not None:
        place = found.get("data_folder") or found.get("store")
        raise unusable(
            f"a fanlight up runs at {url} already, with its data in {place}; "
            f"send spans there, ask it with `fanlight stats --store {url}`, "
            "or start this one at another port: --listen 127.0.0.1:14318"
        )

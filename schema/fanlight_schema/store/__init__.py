"""The one door to ClickHouse, embedded (`chdb:///folder`) or a server (`clickhouse://host/database`).

with open_store("chdb:///var/lib/fanlight") as store:
    migrate.apply(store)
    print(store.query("SELECT fanout_mean FROM fanout_by_action").rows)
"""

from typing import TYPE_CHECKING

from .clients import our_errors
from .engines import open_client
from .errors import QueryError, StoreError, StoreLocked, StoreUnavailable, WriteFailed
from .session import Column, Result, Store
from .urls import DEFAULT_DATABASE, Target, parse_url

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = [
    "DEFAULT_DATABASE",
    "Column",
    "QueryError",
    "Result",
    "Store",
    "StoreError",
    "StoreLocked",
    "StoreUnavailable",
    "WriteFailed",
    "open_store",
]


def open_store(url: str, *, create: bool = True, database: str | None = None) -> Store:
    """Opens a store; its database is made if it is missing and `create` is true.

    `database` overrides the one in the URL. Raises StoreLocked where another process has the embedded folder
    open, StoreUnavailable where nothing answers or the log-in is refused, StoreError where the URL is none.
    """
    target = parse_url(url)
    name = database or target.database
    first = open_client(target)
    try:
        _require_database(first, target, name, create)
        return Store(target, name, first)
    except BaseException:
        first.close()
        raise


def _require_database(client: "Client", target: Target, name: str, create: bool) -> None:
    with our_errors(target.shown):
        known = client.query(
            "SELECT count() FROM system.databases WHERE name = {name:String}", {"name": name}
        )
        if known.result_rows[0][0]:
            return
        if not create:
            raise StoreUnavailable(
                f"{target.shown} has no database {name}; "
                f"make it with: fanlight schema apply --store {target.shown}"
            )
        client.command("CREATE DATABASE IF NOT EXISTS {name:Identifier}", {"name": name})

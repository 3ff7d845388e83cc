"""Two ClickHouse servers on loopback as the shards of one cluster, with fanlight's schema in cluster form.

    with two_shards.running(libchdb) as servers, two_shards.opened(servers, "t1") as shards:
        hostile_delivery.deliver_to(shards, ...)
        two_shards.settle(shards)

There is no Keeper in them, so every Replicated engine is made the plain one; all else is as it is rendered.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from clickhouse_server import Server, running_shards
from fanlight_schema import cluster, migrate, refresh
from fanlight_schema.gpu import seeds
from fanlight_schema.store import Store, open_store

CLUSTER = "two"
FORWARD = "forward_rmv"
STANDING_ARRIVALS = "SELECT count() FROM (SELECT 1 FROM arrived GROUP BY trace_id, mark HAVING sum(sign) > 0)"


def running(libchdb: Path) -> AbstractContextManager[list[Server]]:
    return running_shards(libchdb, CLUSTER, 2)


@contextmanager
def opened(servers: Sequence[Server], database: str) -> Iterator[list[Store]]:
    """One store on each shard, with the schema applied and rate cards written; dropped at the end."""
    with ExitStack() as open_stores:
        shards = [open_stores.enter_context(open_store(server.url(database))) for server in servers]
        for shard in shards:
            migrate.apply(shard, files=files())
            seeds.write(shard)
        yield shards
        for shard in shards:
            shard.command(f"DROP DATABASE {database} SYNC")


def files() -> list[migrate.Migration]:
    return [
        migrate.Migration(one.version, one.name, cluster.without_keeper(one.sql))
        for one in migrate.migrations(of_cluster=CLUSTER)
    ]


def settle(shards: Sequence[Store], timeout_s: float = 60.0) -> None:
    """Returns when every span inserted before the call is in every view, whichever shard is asked."""
    deadline = time.monotonic() + timeout_s
    while any(_is_waiting(shard) for shard in shards):
        assert time.monotonic() < deadline, "marks were still standing"
        for shard in shards:
            shard.command(f"SYSTEM REFRESH VIEW {FORWARD}")
            shard.command(f"SYSTEM WAIT VIEW {FORWARD}")
        for shard in shards:
            refresh.count_now(shard)
    for shard in shards:  # these have no Keeper, which would bring the rates of one to the others
        refresh.price_now(shard)


def _is_waiting(shard: Store) -> bool:
    return bool(shard.query(STANDING_ARRIVALS).rows[0][0] or refresh.pending_traces(shard))

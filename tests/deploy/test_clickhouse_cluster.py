"""The configuration of several servers is read by a real one, which then knows its cluster and its place.

One server alone: nothing is sent to the others of its cluster, and there is no Keeper.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clickhouse_image import running_image
from clickhouse_server import Server
from fanlight_schema.store import Store, open_store

CLICKHOUSE = Path(__file__).resolve().parents[2] / "deploy" / "clickhouse"
USERS = ("migrator", "otel_writer", "grafana_reader")
EACH = "".join(f"<{name}><password>p</password></{name}>" for name in USERS)
PASSWORDS = f"<clickhouse><users>{EACH}</users></clickhouse>"
FILES = ("users.d/fanlight.xml", "cluster/users.d/cluster.xml", "cluster/config.d/cluster.xml")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    told = {"CLICKHOUSE_SHARD": "2", "CLICKHOUSE_REPLICA": "clickhouse-2-1", "CLICKHOUSE_CLUSTER_SECRET": "s"}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in told.items():
            environment.setenv(name, value)
        files = {name.removeprefix("cluster/"): (CLICKHOUSE / name).read_text() for name in FILES}
        files["users.d/passwords.xml"] = PASSWORDS
        with running_image(tmp_path_factory.mktemp("cluster"), files) as server:
            yield from _opened(server)


def _opened(server: Server) -> Iterator[Store]:
    store = open_store(server.url("default"))
    yield store
    store.close()


def test_a_server_knows_its_cluster_and_its_place_in_it(store: Store) -> None:
    servers = store.query(
        "SELECT shard_num, replica_num, host_name, port, internal_replication FROM system.clusters"
        " WHERE cluster = 'prod' ORDER BY ALL"
    ).rows
    assert servers == [(s, r, f"clickhouse-{s}-{r}", 9000, 1) for s in (1, 2) for r in (1, 2)]
    macros = dict(store.query("SELECT macro, substitution FROM system.macros").rows)
    assert macros == {"cluster": "prod", "shard": "2", "replica": "clickhouse-2-1"}


@pytest.mark.parametrize("profile", ["default", "fanlight_writer", "fanlight_migrator"])
def test_whoever_writes_waits_for_shards_and_replicas(store: Store, profile: str) -> None:
    told = store.query(
        "SELECT setting_name, value FROM system.settings_profile_elements"
        " WHERE profile_name = {profile:String}"
        " AND setting_name IN ('distributed_foreground_insert', 'insert_quorum') ORDER BY ALL",
        {"profile": profile},
    ).rows
    assert told == [("distributed_foreground_insert", "1"), ("insert_quorum", "2")]

"""Users, roles, profiles, quotas and the storage policy of deploy/clickhouse, in force on a real server."""

import hashlib
import random
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

import exact_figures
import otelcol
import otlp_json
import random_cascades
from clickhouse_image import running_image
from clickhouse_server import Server
from fanlight_collectors.cli.target import DirectReader
from fanlight_schema import drift, migrate, refresh, retention
from fanlight_schema.store import Store, open_store
from hostile_delivery import as_otlp
from serving import eventually

CLICKHOUSE = Path(__file__).resolve().parents[2] / "deploy" / "clickhouse"
PASSWORDS = {name: f"{name}'s own" for name in ("migrator", "otel_writer", "grafana_reader")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    hashes = "".join(
        f"<{name}><password_sha256_hex>{hashlib.sha256(word.encode()).hexdigest()}</password_sha256_hex></{name}>"
        for name, word in PASSWORDS.items()
    )
    files = {
        str(path.relative_to(CLICKHOUSE)): path.read_text() for path in sorted(CLICKHOUSE.glob("*.d/*.xml"))
    }
    files["users.d/passwords.xml"] = f"<clickhouse><users>{hashes}</users></clickhouse>"
    with running_image(tmp_path_factory.mktemp("clickhouse"), files) as running:
        yield running


def url(server: Server, user: str) -> str:
    return f"clickhouse://{user}:{urllib.parse.quote(PASSWORDS[user])}@127.0.0.1:{server.http_port}/otel"


@pytest.fixture(scope="module")
def migrated(server: Server) -> Iterator[Store]:
    store = open_store(url(server, "migrator"))
    migrate.apply(store)
    yield store
    store.close()


def answer(server: Server, user: str, statement: str, **settings: str) -> str:
    """What the server says over HTTP; where it refuses, the name of its error."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http_port}/?{urllib.parse.urlencode({'database': 'otel'} | settings)}",
        data=statement.encode(),
        headers={"X-ClickHouse-User": user, "X-ClickHouse-Key": PASSWORDS[user]},
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as told:
            return str(told.read().decode().strip())
    except urllib.error.HTTPError as refused:
        with refused:
            return str(refused.read().decode().rpartition("(version")[0].strip().rpartition("(")[2][:-1])


def test_what_the_writer_sends_is_counted_and_the_reader_sees_every_view(
    server: Server, migrated: Store
) -> None:
    rows = random_cascades.rows(random.Random(5), cascades=10)
    writer = open_store(url(server, "otel_writer"))
    writer.insert("otel_traces", otlp_json.columns(rows))
    writer.close()
    refresh.settle(migrated, timeout_s=60)
    reader = open_store(url(server, "grafana_reader"))
    exact_figures.assert_exact(reader, rows)
    reader.close()
    command_line = DirectReader(url(server, "grafana_reader"))
    assert command_line.query_bytes("SELECT count() > 0 FROM actions", "TSV") == b"1\n"
    command_line.close()


@pytest.mark.parametrize(
    ("user", "statement"),
    [
        ("otel_writer", "DROP TABLE spans"),
        ("otel_writer", "TRUNCATE TABLE spans"),
        ("otel_writer", "ALTER TABLE spans DELETE WHERE 1"),
        ("otel_writer", "CREATE TABLE otel.mine (a Int8) ENGINE = Memory"),
        ("otel_writer", "CREATE USER mine"),
        ("migrator", "CREATE USER mine"),
        ("migrator", "CREATE DATABASE mine"),
        ("grafana_reader", "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')"),
        ("grafana_reader", "SELECT * FROM file('users.xml', LineAsString)"),
    ],
)
def test_nobody_does_what_is_not_theirs(server: Server, migrated: Store, user: str, statement: str) -> None:
    assert answer(server, user, statement) in {"ACCESS_DENIED", "READONLY"}
    assert answer(server, user, "SELECT 1") == "1"


def test_the_reader_changes_nothing_but_how_long_a_query_may_take(server: Server, migrated: Store) -> None:
    reader = "grafana_reader"
    assert answer(server, reader, "INSERT INTO otel_traces (SpanName) VALUES ('x')") in {
        "ACCESS_DENIED",
        "READONLY",
    }
    assert answer(server, reader, "SELECT getSetting('max_execution_time')") == "60"
    assert answer(server, reader, "SELECT getSetting('max_execution_time')", max_execution_time="30") == "30"
    assert answer(server, reader, "SELECT 1", max_execution_time="100000") == "SETTING_CONSTRAINT_VIOLATION"
    assert answer(server, reader, "SELECT 1", max_memory_usage="0") == "READONLY"
    assert answer(server, reader, "SELECT 1", readonly="0") == "READONLY"


def test_the_reader_has_a_quota_of_its_own(server: Server, migrated: Store) -> None:
    assert (
        answer(server, "grafana_reader", "SELECT quota_name, max_queries FROM system.quota_usage")
        == "fanlight_reader\t600"
    )


def test_rows_move_to_the_cold_volume_at_the_age_that_keep_names(migrated: Store) -> None:
    retention.keep(migrated, retention.parse("spans=400d,cold=30d"))
    assert migrated.query(
        "SELECT storage_policy, engine_full LIKE '%TO VOLUME \\'cold\\'%' FROM system.tables"
        " WHERE database = 'otel' AND name = 'spans'"
    ).rows == [("default", 1)]


def test_the_grants_are_those_of_the_roles_in_sql() -> None:
    roles = ElementTree.parse(CLICKHOUSE / "users.d" / "fanlight.xml").iterfind("./roles/*")
    of_xml = {
        f"{query.text} {'FROM' if str(query.text).startswith('REVOKE') else 'TO'} {role.tag}"
        for role in roles
        for query in role.iterfind("./grants/query")
    }
    of_sql = set(re.findall(r"^((?:GRANT|REVOKE) .+);$", migrate.roles("otel"), flags=re.MULTILINE))
    assert of_xml == of_sql


def test_the_collector_inserts_as_the_writer(server: Server, migrated: Store, tmp_path: Path) -> None:
    if otelcol.program() is None:  # Go is optional; the test above inserts as the writer by HTTP
        pytest.skip("the OpenTelemetry Collector is missing; `make otelcol` builds it")
    rows = random_cascades.rows(random.Random(6), cascades=3)
    count = "SELECT uniqExact(trace_id, span_id) FROM spans"
    (before,) = migrated.query(count).rows[0]
    expected = before + len({(row["TraceId"], row["SpanId"]) for row in rows})
    with otelcol.running_collector(
        tmp_path, server.tcp_port, "otel", writer=("otel_writer", PASSWORDS["otel_writer"])
    ) as collector:
        collector.send(as_otlp(rows).SerializeToString())
        eventually(lambda: migrated.query(count).rows == [(expected,)])


def test_the_status_of_what_the_migrator_made_is_as_it_should_be(migrated: Store) -> None:
    assert drift.find(migrated) == []

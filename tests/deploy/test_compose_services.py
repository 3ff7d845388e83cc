"""The services of deploy/compose.yaml do their work.

No Docker engine runs here: the command lines of fanlight's own services are started without one, against a
real ClickHouse server that has the files, users and passwords which the file mounts.
"""

import http.client
import random
import re
import ssl
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

import compose
import otelcol
import random_cascades
from clickhouse_image import running_image
from clickhouse_server import Server, free_ports
from compose import Here
from fanlight_schema.store import open_store
from hostile_delivery import as_otlp
from metrics_server import VLLM, running_metrics
from running import running_up
from serving import eventually

PROJECT = compose.project()
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]
GRAFANA_SOURCE = compose.FILE.parent / "grafana/provisioning/datasources/fanlight.yaml"
PAGE = compose.FILE.parents[1] / "docs/compose.md"
TLS = Path(__file__).parents[1] / "support" / "tls"
COUNTED = "SELECT sum(requests) FROM actions WHERE startsWith(session_id, 'demo-')"
ETC = "/etc/clickhouse-server/"


@dataclass(frozen=True, slots=True)
class Machine:
    """ClickHouse as the file sets it up, on free ports of this machine."""

    folder: Path
    server: Server

    def here(self, **places: str) -> Here:
        return Here(self.folder, {"clickhouse:8123": f"127.0.0.1:{self.server.http_port}", **places})

    def url(self, user: str) -> str:
        password = (self.folder / "secrets" / f"{user}_password").read_text()
        return f"clickhouse://{user}:{password}@127.0.0.1:{self.server.http_port}/otel"

    def ask(self, sql: str, user: str = "grafana_reader") -> list[tuple[Any, ...]]:
        with open_store(self.url(user), create=False) as store:
            return store.query(sql).rows


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("compose")
    secrets = compose.made_secrets(folder)
    clickhouse = SERVICES["clickhouse"]
    files = {
        target.removeprefix(ETC): source.read_text() for target, source in compose.mounts(clickhouse).items()
    }
    for secret in clickhouse["secrets"]:
        source = Path(PROJECT["secrets"][secret["source"]]["file"]).name
        files[secret["target"].removeprefix(ETC)] = (secrets / source).read_text()
    with running_image(folder, files) as server:
        yield Machine(folder, server)


@pytest.fixture(scope="module")
def migrated(machine: Machine) -> Machine:
    done = compose.run(SERVICES["migrations"], machine.here())
    assert done.returncode == 0, done.stderr
    return machine


def test_migrations_make_the_tables_and_then_find_nothing_to_do(migrated: Machine) -> None:
    again = compose.run(SERVICES["migrations"], migrated.here())
    assert (again.returncode, again.stdout.partition(": ")[2]) == (0, "0 migrations applied, up to date\n")


def test_the_scraper_keeps_what_an_engine_says_until_it_is_stopped(migrated: Machine) -> None:
    scraper = SERVICES["scraper"]
    ((there, source),) = compose.mounts(scraper).items()
    with running_metrics() as metrics:
        metrics.texts["metrics"] = VLLM
        config = migrated.folder / "scrape.toml"
        config.write_text(
            source.read_text().replace("host.docker.internal:8000", f"127.0.0.1:{metrics.port}")
        )
        with compose.running(
            scraper, migrated.here(**{there: str(config)}), migrated.folder / "scraper.log"
        ) as process:
            eventually(lambda: migrated.ask("SELECT count() FROM engine_samples") != [(0,)])
            process.terminate()
            assert process.wait(timeout=30) == 0
    assert migrated.ask("SELECT DISTINCT server_address, status FROM engine_samples") == [("127.0.0.1", "ok")]


def test_the_command_line_finds_what_is_wrong_without_a_command(migrated: Machine) -> None:
    found = compose.run(SERVICES["fanlight"], migrated.here())
    assert found.returncode in (0, 1), found.stderr  # 2 where it cannot get at the store
    assert found.stdout.startswith(("wrong ", "watch ", "fine "))


@contextmanager
def collecting(machine: Machine, service: dict[str, Any]) -> Iterator[int]:
    """A collector with the service's own arguments; the port of its OTLP over HTTP."""
    grpc, otlp, health, metrics = free_ports(4)
    here = machine.here(
        **{there: str(source) for there, source in compose.mounts(service).items()},
        **{
            "clickhouse:9000": f"127.0.0.1:{machine.server.tcp_port}",
            "/var/lib/otelcol": str(machine.folder / "otelcol"),
            "0.0.0.0:4317": f"127.0.0.1:{grpc}",
            "0.0.0.0:4318": f"127.0.0.1:{otlp}",
            "0.0.0.0:13133": f"127.0.0.1:{health}",
            "0.0.0.0": "127.0.0.1",
        },
    )
    (machine.folder / "otelcol").mkdir(exist_ok=True)
    started = {
        **service,
        "entrypoint": [str(otelcol.program())],
        "environment": {**service["environment"], "OTELCOL_METRICS_PORT": str(metrics)},
    }
    checked = compose.run(started, here, "validate", *service["command"])
    assert checked.returncode == 0, checked.stderr
    with compose.running(started, here, machine.folder / "collector.log"):
        eventually(lambda: answers(health))
        yield otlp


@contextmanager
def receiver(machine: Machine) -> Iterator[str]:
    """Where the demo sends: the collector as the file starts it; `fanlight up` where none is built."""
    if otelcol.program() is None:
        with running_up(machine.url("migrator"), machine.folder) as up:
            yield up.url.removeprefix("http://")
        return
    with collecting(machine, SERVICES["collector"]) as port:
        yield f"127.0.0.1:{port}"


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=1):
            return True
    except OSError:
        return False


def test_the_demo_s_requests_are_those_that_its_model_got(migrated: Machine) -> None:
    (port,) = free_ports(1)
    log = migrated.folder / "demo-model.log"
    with ExitStack() as running:
        otlp = running.enter_context(receiver(migrated))
        here = migrated.here(
            **{
                "0.0.0.0:8000": f"127.0.0.1:{port}",
                "'127.0.0.1', 8000": f"'127.0.0.1', {port}",
                "demo-model:8000": f"127.0.0.1:{port}",
                "collector:4318": otlp,
            }
        )
        model = SERVICES["demo-model"]
        running.enter_context(compose.running(model, here, log))
        probe = {**model, "entrypoint": model["healthcheck"]["test"][1:]}
        eventually(lambda: compose.run(probe, here).returncode == 0)
        done = compose.run(SERVICES["demo"], here, "--people", "2")  # of five: the others take longer
        assert done.returncode == 0, done.stderr
        asked = log.read_text().count('"POST /v1/')
        assert asked > 10
        eventually(lambda: migrated.ask(COUNTED) == [(asked,)], within_s=60)


@pytest.mark.skipif(otelcol.program() is None, reason="`make otelcol` builds the collector with Go")
def test_the_collector_of_the_page_s_override_speaks_tls_and_asks_for_the_token(migrated: Machine) -> None:
    (override,) = re.findall(r"^```yaml\n(.+?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    command = compose.read(re.sub(r"!(?:reset|override) ", "", override))["services"]["collector"]["command"]
    for name in ("crt", "key"):
        (migrated.folder / "secrets" / f"tls_{name}").write_text((TLS / f"localhost.{name}").read_text())
    trusted = ssl.create_default_context(cafile=str(TLS / "localhost.crt"))
    token = (migrated.folder / "secrets" / "ingest_token").read_text()
    body = as_otlp(random_cascades.rows(random.Random(2), cascades=1)).SerializeToString()
    with collecting(migrated, {**SERVICES["collector"], "command": command}) as port:
        for shown, status in ((token, 200), ("another", 401)):
            connection = http.client.HTTPSConnection("localhost", port, timeout=20, context=trusted)
            headers = {"content-type": "application/x-protobuf", "authorization": f"Bearer {shown}"}
            connection.request("POST", "/v1/traces", body, headers)
            assert connection.getresponse().status == status
            connection.close()


def test_grafana_s_data_source_is_this_clickhouse(migrated: Machine) -> None:
    (source,) = yaml.safe_load(GRAFANA_SOURCE.read_text())["datasources"]
    assert (source["uid"], source["type"]) == ("fanlight-clickhouse", "grafana-clickhouse-datasource")
    told = source["jsonData"]
    assert (told["host"], told["port"]) == ("clickhouse", 9000)
    file = re.fullmatch(r"\$__file\{/run/secrets/(\w+)\}", source["secureJsonData"]["password"])
    assert file is not None
    assert file[1] in SERVICES["grafana"]["secrets"]
    password = (migrated.folder / "secrets" / file[1]).read_text()
    address = f"127.0.0.1:{migrated.server.http_port}/{told['defaultDatabase']}"
    with open_store(f"clickhouse://{told['username']}:{password}@{address}", create=False) as store:
        limit = {"max_execution_time": int(told["queryTimeout"])}
        assert store.query_bytes("SELECT getSetting('readonly')", "TSV", limit) == b"1\n"
        traces = told["traces"]
        for table in (traces["defaultTable"], traces["defaultTable"] + traces["traceTimestampTableSuffix"]):
            store.query(f"SELECT * FROM {traces['defaultDatabase']}.{table} LIMIT 1")
        columns = {row[0] for row in store.query(f"DESCRIBE TABLE {traces['defaultTable']}").rows}
    prefixes = (traces["traceEventsColumnPrefix"], traces["traceLinksColumnPrefix"])
    assert all(any(column.startswith(f"{prefix}.") for column in columns) for prefix in prefixes)

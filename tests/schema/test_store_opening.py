"""Which addresses open, what is said about those that do not, and that no password is ever shown."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clickhouse_server import Server, library, running_server
from fanlight_schema.store import Store, StoreError, StoreUnavailable, WriteFailed, open_store
from fanlight_schema.store.urls import EmbeddedTarget, ServerTarget, parse_url
from requirements import require

OPEN = """
import sys
from fanlight_schema.store import open_store, StoreError
try:
    with open_store(sys.argv[1]) as store:
        print(store.query("SELECT count() FROM system.databases WHERE name = 'fanlight'").rows)
except StoreError as exc:
    print(type(exc).__name__, exc)
"""


IN_NEW_YORK = """
import sys
from fanlight_schema.store import open_store
with open_store(sys.argv[1]) as store:
    store.command(
        "CREATE TABLE t (Timestamp DateTime64(9)) ENGINE = MergeTree "
        "PARTITION BY toDate(Timestamp) ORDER BY ()"
    )
    store.insert("t", {"Timestamp": [3600 * 10**9]})  # 1970-01-01 01:00 UTC, still 1969 in New York
    print(store.query("SELECT toString(Timestamp), _partition_id FROM t").rows)
"""


def in_another_process(url: str, script: str = OPEN, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, url],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("chdb:///var/lib/fan%20light", EmbeddedTarget(Path("/var/lib/fan light"))),
        ("clickhouse://h", ServerTarget("h", 8123, "default", "", "fanlight", False)),
        ("clickhouses://h", ServerTarget("h", 8443, "default", "", "fanlight", True)),
        ("clickhouse://ann:p%40ss@h:99/prod", ServerTarget("h", 99, "ann", "p@ss", "prod", False)),
        ("clickhouse://[::1]:99/", ServerTarget("::1", 99, "default", "", "fanlight", False)),
    ],
)
def test_an_address_names_its_target(url: str, target: object) -> None:
    assert parse_url(url) == target


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("/var/lib/fanlight", "give chdb:///"),
        ("chdb://relative/folder", "absolute folder"),
        ("chdb:///x?y=1", "no options"),
        ("postgres://h", "postgres: is no store"),
        ("clickhouse://", "host is missing"),
        ("clickhouse://h:99999", "port"),
        ("clickhouse://h/a/b", "only a database name"),
    ],
)
def test_an_address_that_is_none_says_what_would_be(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as caught:
        open_store(url)
    assert "\n" not in str(caught.value)


def test_a_password_is_never_shown() -> None:
    target = parse_url("clickhouse://ann:s3cret@127.0.0.1:1/prod")
    with pytest.raises(StoreUnavailable) as caught:
        open_store("clickhouse://ann:s3cret@127.0.0.1:1/prod")
    cause = caught.value.__cause__
    assert "s3cret" not in f"{target!r} {target.shown} {caught.value} {cause} {cause!r}"
    assert target.shown == "clickhouse://ann:***@127.0.0.1:1/prod"


def test_a_server_that_is_not_there_is_one_line_that_says_so() -> None:
    with pytest.raises(StoreUnavailable, match="cannot be reached: Connection refused") as caught:
        open_store("clickhouse://127.0.0.1:1")
    assert "\n" not in str(caught.value)


def test_a_folder_open_in_another_process_names_it(embedded_folder: Path) -> None:
    said = in_another_process(f"chdb://{embedded_folder}")
    assert said.startswith(f"StoreLocked {embedded_folder} is open in process ")
    assert "--store http://ADDRESS, the one it listens on (127.0.0.1:4318 unless set)" in said
    assert len(said.splitlines()) == 1


def test_a_closed_folder_opens_again_in_another_process(tmp_path: Path) -> None:
    for _ in range(2):
        assert in_another_process(f"chdb://{tmp_path}/new/folder") == "[(1,)]\n"


def test_days_are_utc_wherever_the_embedded_engine_runs(tmp_path: Path) -> None:
    said = in_another_process(f"chdb://{tmp_path}", IN_NEW_YORK, TZ="America/New_York")
    assert said == "[('1970-01-01 01:00:00.000000000', '19700101')]\n"


def test_a_second_folder_in_one_process_is_refused(embedded_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="another data folder open"):
        open_store(f"chdb://{tmp_path}")


def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(StoreUnavailable, match=r"cannot make the data folder .*file/sub"):
        open_store(f"chdb://{file}/sub")


def test_a_missing_database_is_made_only_if_that_is_wanted(clickhouse_server: Server) -> None:
    url = clickhouse_server.url("on_demand")
    with pytest.raises(StoreUnavailable, match="fanlight schema apply"):
        open_store(url, create=False)
    with open_store(url) as store:
        assert store.query("SELECT currentDatabase()").rows == [("on_demand",)]
        store.command("DROP DATABASE on_demand")


def test_a_server_that_goes_away_is_reported_by_reads_and_writes() -> None:
    found = library()
    require(found is not None, "the ClickHouse test server")
    assert found is not None
    with running_server(found) as server:
        store = open_store(server.url("gone"))
        store.command("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
        store.insert("t", {"a": [1]})
    with store:
        with pytest.raises(StoreUnavailable, match="does not answer"):
            store.query("SELECT 1")
        with pytest.raises(WriteFailed, match="does not answer"):
            store.insert("t", {"a": [2]})


def test_a_store_is_shown_by_its_address_and_database(open_either: Callable[[], Store]) -> None:
    store = open_either()
    assert repr(store) == f"<Store {store.url} database={store.database}>"

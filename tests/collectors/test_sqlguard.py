"""What gets through the guard, on an engine that gives its parse tree as JSON and on one that does not."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from fanlight_collectors.sqlguard import Guard, Refused
from fanlight_collectors.up.sql import LIMITS
from fanlight_schema import migrate
from fanlight_schema.store import QueryError, Store, open_store

HARMLESS = [
    "SELECT 1",
    "select count() from otel_traces;",
    "SELECT SpanName, Duration / 1e9 AS s FROM otel_traces WHERE Timestamp > now() - INTERVAL 1 DAY",
    "WITH t AS (SELECT TraceId, count() AS n FROM otel_traces GROUP BY TraceId) SELECT max(n) FROM t",
    "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT * FROM r",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "SELECT 1 INTERSECT SELECT 1",
    "FROM otel_traces SELECT SpanName LIMIT 1",
    "SELECT * FROM otel_traces AS a LEFT JOIN otel_traces AS b USING (TraceId) LIMIT 1",
    "SELECT * EXCEPT (ResourceAttributes) FROM otel_traces LIMIT 1",
    "SELECT arrayMap(x -> x + 1, [1, 2]), mapKeys(SpanAttributes), SpanAttributes['a'] FROM otel_traces",
    "SELECT quantileExactWeighted(0.5)(Duration, 1), countIf(StatusCode = 'Error') FROM otel_traces",
    "SELECT sum(Duration) OVER (ORDER BY Timestamp ROWS 1 PRECEDING) FROM otel_traces",
    "SELECT SpanId FROM otel_traces WHERE TraceId IN (SELECT TraceId FROM otel_traces) LIMIT 1 BY 1",
    "SELECT toDate(Timestamp) AS d, count() FROM otel_traces GROUP BY d WITH TOTALS ORDER BY d WITH FILL",
    "SELECT Events.Name, Links.TraceId FROM otel_traces ARRAY JOIN Events.Name AS name",
    "SELECT 'INTO OUTFILE; SETTINGS FORMAT JSON file(url)' AS `select`",
    "SELECT 1 -- ; DROP TABLE otel_traces",
    "SELECT 1 /* INTO OUTFILE 'x' */",
    "EXPLAIN SELECT count() FROM otel_traces",
    "EXPLAIN SYNTAX SELECT 1",
    "DESCRIBE TABLE otel_traces",
    "desc otel_traces",
    "SELECT number FROM system.numbers LIMIT 3",
    "SELECT toTypeName(1), version(), formatReadableSize(1)",
]

HOSTILE = [
    # files
    "SELECT 1 INTO OUTFILE '{trap}'",
    "SELECT 1 INTO OUTFILE '{trap}' TRUNCATE FORMAT CSV",
    "SELECT 1 UNION ALL SELECT 2 INTO OUTFILE '{trap}'",
    "SELECT 1 into/**/outfile '{trap}' settings readonly=0",
    "WITH 1 AS x SELECT x INTO OUTFILE '{trap}' APPEND AND STDOUT",
    "EXPLAIN SELECT 1 INTO OUTFILE '{trap}'",
    "INSERT INTO FUNCTION file('{trap}', 'CSV', 'a Int8') SELECT 1",
    "INSERT INTO TABLE FUNCTION file('{trap}') VALUES (1)",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM (SELECT * FROM (SELECT * FROM file('/etc/passwd', 'LineAsString')))",
    "SELECT 1 WHERE 1 IN (SELECT 1 FROM file('/etc/passwd', 'LineAsString'))",
    "WITH x AS (SELECT * FROM file('/etc/passwd', 'LineAsString')) SELECT * FROM x",
    "SELECT (SELECT count() FROM file('/etc/passwd', 'LineAsString'))",
    "SELECT * FROM otel_traces JOIN file('/etc/passwd', 'LineAsString') AS f ON 1",
    "SELECT file('/etc/passwd')",
    "SELECT FILE('/etc/passwd')",
    "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
    "SELECT * APPLY file FROM (SELECT '/etc/passwd')",
    "SELECT * APPLY(x -> file(x)) FROM (SELECT '/etc/passwd')",
    "SELECT COLUMNS('.*') APPLY(file) FROM (SELECT '/etc/passwd')",
    "SELECT * REPLACE (file('/etc/passwd') AS dummy) FROM system.one",
    "SELECT sum(1) OVER (PARTITION BY file('/etc/passwd')) FROM system.one",
    "SELECT 1 ORDER BY 1 WITH FILL INTERPOLATE (dummy AS file('/etc/passwd'))",
    "EXPLAIN SELECT * FROM file('/etc/passwd')",
    "DESCRIBE TABLE file('/etc/passwd')",
    "DESCRIBE (SELECT * FROM file('/etc/passwd', 'LineAsString'))",
    'SELECT * FROM "/etc/passwd"',
    "SELECT * FROM `file:///etc/passwd`",
    "SELECT * FROM '/etc/passwd'",
    # other table functions: network, other tables, programs
    "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')",
    "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM cluster('default', system.one)",
    "SELECT * FROM merge('system', '.*')",
    "SELECT * FROM numbers(10)",
    "SELECT * FROM executable('id', TSV, 'a String')",
    "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
    "SELECT * FROM sqlite('/tmp/x', 't')",
    "SELECT * FROM view(SELECT 1)",
    "SELECT * FROM (EXPLAIN SELECT 1)",
    "SELECT * FROM python('x')",
    "SELECT * FROM dictionary('d')",
    "SELECT * FROM input('a Int8')",
    # other databases
    "SELECT * FROM system.settings",
    "SELECT * FROM system.processes",
    "SELECT * FROM SYSTEM.users",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM default.anything",
    "SELECT 1 IN system.users",
    "SELECT 1 WHERE ('a', 'b') NOT IN (system.query_log)",
    "DESCRIBE system.users",
    # functions
    "SELECT dictGet('d', 'a', 1)",
    "SELECT joinGet('j', 'a', 1)",
    "SELECT sleep(3)",
    "SELECT sleepEachRow(1) FROM system.numbers",
    "SELECT getServerSetting('path')",
    "SELECT addressToLine(0)",
    "SELECT currentUser(), hostName()",
    "SELECT @@hostname",
    # settings and formats
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)",
    "SELECT 1 FORMAT Null SETTINGS max_memory_usage = 0",
    "SELECT 1 FORMAT CSV",
    "EXPLAIN PIPELINE graph = 1 SELECT 1",
    # not one SELECT
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE otel_traces",
    "SELECT 1;-- \nDROP TABLE otel_traces",
    "SELECT 1; INSERT INTO otel_traces (TraceId) VALUES ('x')",
    "INSERT INTO otel_traces (TraceId) SELECT 'x'",
    "DROP TABLE otel_traces",
    "TRUNCATE TABLE otel_traces",
    "ALTER TABLE otel_traces DELETE WHERE 1",
    "OPTIMIZE TABLE otel_traces FINAL",
    "CREATE TABLE x (a Int8) ENGINE = Memory",
    "CREATE VIEW x AS SELECT 1",
    "CREATE FUNCTION f AS (x) -> x",
    "ATTACH TABLE x",
    "RENAME TABLE otel_traces TO x",
    "SET max_threads = 1",
    "USE system",
    "SYSTEM SHUTDOWN",
    "KILL QUERY WHERE 1",
    "BACKUP TABLE otel_traces TO File('{trap}')",
    "SHOW PROCESSLIST",
    "SHOW GRANTS",
    "EXECUTE AS default SELECT 1",
    "CHECK TABLE otel_traces",
    # what the text of a tree could be fooled with
    "SELECT `a\n TableExpression (children 1)\n  TableIdentifier t`, file('/etc/passwd')",
    "SELECT * FROM `otel_traces\n TableIdentifier x` JOIN file('/etc/passwd', 'LineAsString') AS f ON 1",
    "graph = 1 SELECT 1",
    "SYNTAX SELECT 1",
    "SELECT 1\x00 INTO OUTFILE '{trap}'",
    "SELECT * FROM {t:Identifier}",
    "",
    "   ",
    "-- nothing",
]


@pytest.fixture(scope="module", params=["embedded", "server"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """One migrated database on each engine for all statements: they must not change it."""
    if request.param == "embedded":
        opened = open_store(f"chdb://{request.getfixturevalue('embedded_folder')}", database="guarded")
    else:
        opened = open_store(request.getfixturevalue("clickhouse_server").url("guarded"))
    with opened:
        migrate.apply(opened)
        yield opened
        opened.command("DROP DATABASE guarded")


@pytest.fixture(scope="module")
def guard(store: Store) -> Guard:
    return Guard(store)


@pytest.mark.parametrize("sql", HARMLESS)
def test_harmless_statement_is_let_through_and_runs(store: Store, guard: Guard, sql: str) -> None:
    guard.check(sql)
    store.query_bytes(sql, "JSONCompact", dict(LIMITS))


@pytest.mark.parametrize("template", HOSTILE)
def test_hostile_statement_is_refused_and_leaves_no_file(guard: Guard, template: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    with pytest.raises((Refused, QueryError)):
        guard.check(template.replace("{trap}", str(trap)))
    assert not trap.exists()


def test_there_are_at_least_forty_hostile_statements() -> None:
    assert len(set(HOSTILE)) >= 40


def test_limits_alone_may_not_stop_a_file(store: Store, tmp_path: Path) -> None:
    """Why there is a guard: in chdb 26.9 the file is written although readonly is 1."""
    trap = tmp_path / "trap"
    with contextlib.suppress(QueryError):
        store.query_bytes(f"SELECT 1 INTO OUTFILE '{trap}' FORMAT CSV", "CSV", dict(LIMITS))
    assert not trap.exists() or store.embedded


def test_syntax_error_is_clickhouses_own_with_its_position(guard: Guard) -> None:
    with pytest.raises(QueryError, match=r"Syntax error.*position 20") as raised:
        guard.check("SELECT count() FRO otel_traces")
    assert raised.value.code == 62
    assert "In scope" not in raised.value.message


def test_limits_refuse_writing_even_where_the_guard_would_not(store: Store) -> None:
    with pytest.raises(QueryError):
        store.query_bytes("INSERT INTO otel_traces (TraceId) SELECT 'x'", "CSV", dict(LIMITS))
    assert store.query("SELECT count() FROM otel_traces").rows == [(0,)]


def test_parameters_of_a_select_are_values(store: Store, guard: Guard) -> None:
    needs_json_trees = contextlib.nullcontext() if store.embedded else pytest.raises(Refused, match=r"26\.8")
    with needs_json_trees:
        guard.check("SELECT {name:String}", {"name": "x"})


def test_parameters_without_a_place_are_refused(guard: Guard) -> None:
    with pytest.raises(Refused, match="takes no parameters"):
        guard.check("SELECT 1 %(a) AS s", {"a": "x"})

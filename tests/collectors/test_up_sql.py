"""POST /v1/sql of a real `fanlight up`: who may ask, what comes back, and what errors look like."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from otlp_requests import make_request, make_span
from up_process import Up, running_up

JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running_up() as server:
        spans = [make_span(number, name=f"n{number}") for number in range(3)]
        assert server.post(make_request(spans, "shop").SerializeToString()).status_code == 200
        yield server


def test_answer_has_columns_with_types_and_rows(up: Up) -> None:
    answer = up.sql("SELECT SpanName AS name, Duration / 1000000000 AS s FROM otel_traces ORDER BY name")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["meta"] == [
        {"name": "name", "type": "LowCardinality(String)"},
        {"name": "s", "type": "Float64"},
    ]
    assert answer.json()["data"] == [["n0", 1], ["n1", 1], ["n2", 1]]


@pytest.mark.parametrize(
    ("name", "media_type", "text"),
    [
        ("csv", "text/csv; charset=utf-8", '"a","b"\n1,"x"\n'),
        ("tsv", "text/tab-separated-values; charset=utf-8", "a\tb\n1\tx\n"),
        ("JSONEachRow", "application/x-ndjson", '{"a":1,"b":"x"}\n'),
    ],
)
def test_format_is_chosen_beside_the_statement(up: Up, name: str, media_type: str, text: str) -> None:
    answer = up.sql("SELECT 1 AS a, 'x' AS b", params={"format": name})
    assert (answer.text, answer.headers["content-type"]) == (text, media_type)


def test_parameters_are_values_and_never_sql(up: Up) -> None:
    question = {
        "query": "SELECT {a:String} AS a, {n:UInt8} + 1 AS n",
        "parameters": {"a": "x' OR 1 --", "n": 4},
    }
    answer = up.request("POST", "/v1/sql", json=question, headers={"authorization": f"bearer {up.sql_token}"})
    assert answer.json()["data"] == [["x' OR 1 --", 5]]


@pytest.mark.parametrize("value", [None, [1, 2], {"a": 1}, 1.5, True, "", "\\", "\x00", 2**70])
def test_parameter_of_any_type_is_a_value_or_an_error_of_the_question(up: Up, value: object) -> None:
    question = {"query": "SELECT {a:String}", "parameters": {"a": value}}
    answer = up.request("POST", "/v1/sql", json=question, headers={"authorization": f"Bearer {up.sql_token}"})
    assert answer.status_code in (200, 400), answer.text


def test_parameter_that_is_missing_is_named(up: Up) -> None:
    assert "`a`" in up.sql("SELECT {a:String}").json()["error"]["message"]


def test_what_json_cannot_say_comes_as_text_and_integers_as_numbers(up: Up) -> None:
    assert up.rows("SELECT nan, inf, toUInt64(18446744073709551615), NULL") == [
        ["nan", "inf", 2**64 - 1, None]
    ]


def test_syntax_error_has_clickhouses_message_code_and_position(up: Up) -> None:
    answer = up.sql("SELECT count() FRO otel_traces")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["position"], error["kind"]) == (400, 62, 20, "query")
    assert "Syntax error" in error["message"]


def test_unknown_column_is_named_by_clickhouse(up: Up) -> None:
    error = up.sql("SELECT SpanNam FROM otel_traces").json()["error"]
    assert error["code"] == 47
    assert "SpanNam" in error["message"]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM file('/etc/passwd')",
        "SELECT 1 INTO OUTFILE '/tmp/never'",
        "DROP TABLE otel_traces",
        "SELECT 1 SETTINGS readonly = 0",
    ],
)
def test_hostile_statement_is_refused(up: Up, statement: str) -> None:
    answer = up.sql(statement)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (400, "refused")


def test_long_statement_is_ended_by_its_limits(up: Up) -> None:
    answer = up.sql("SELECT number FROM system.numbers")
    assert answer.status_code == 400
    assert "LIMIT" in answer.json()["error"]["message"].upper()


def test_without_the_token_nothing_is_answered(up: Up) -> None:
    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": up.sql_token},
        {"authorization": "Bearer ä"},
    ):
        encoded = {name: value.encode() for name, value in headers.items()}
        answer = up.request("POST", "/v1/sql", content=b"SELECT 1", headers=encoded)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
    ],
)
def test_token_does_not_help_a_foreign_page(up: Up, headers: dict[str, str]) -> None:
    answer = up.sql("SELECT 1", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_own_origin_is_let_in(up: Up) -> None:
    assert up.sql("SELECT 1", headers={"origin": up.url}).status_code == 200


def test_token_file_is_for_this_user_alone(up: Up) -> None:
    assert stat.S_IMODE((up.folder / "sql-token").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\xff", {}),
        (b"{", JSON),
        (b"[]", JSON),
        (json.dumps({"query": 1}).encode(), JSON),
        (json.dumps({"query": "SELECT 1", "parameters": [1]}).encode(), JSON),
        (json.dumps({"query": "SELECT 1", "format": "Nonsense"}).encode(), JSON),
        (b"", {}),
    ],
)
def test_what_is_no_question_is_400(up: Up, body: bytes, headers: dict[str, str]) -> None:
    sent = {"authorization": f"Bearer {up.sql_token}", **headers}
    answer = up.request("POST", "/v1/sql", content=body, headers=sent)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


def test_statement_over_a_mib_is_413(up: Up) -> None:
    answer = up.sql("SELECT 1 --" + "x" * 2**20)
    assert (answer.status_code, "at most 1 MiB" in answer.text) == (413, True)


def test_other_methods_and_paths_say_what_is_there(up: Up) -> None:
    headers = {"authorization": f"Bearer {up.sql_token}"}
    assert up.request("GET", "/v1/sql", headers=headers).status_code == 405
    answer = up.request("GET", "/nothing")
    assert answer.status_code == 404
    assert "/v1/traces" in answer.json()["error"]["message"]


def test_healthz_tells_a_local_client_where_the_data_is(up: Up) -> None:
    health = up.request("GET", "/healthz").json()
    assert health["status"] == "ok"
    assert Path(health["data_folder"]) == up.folder
    assert up.request("GET", "/healthz", headers={"host": "evil.example"}).status_code == 403

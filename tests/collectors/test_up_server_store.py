"""`fanlight up` on a real ClickHouse server: the same answers, and what happens while the server is away."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status

from clickhouse_server import Server, library, running_server
from otlp_requests import make_request, make_span
from requirements import require
from up_process import Up, running_up

BODY = make_request([make_span(number) for number in range(5)], "shop").SerializeToString()


@pytest.fixture(scope="module")
def up(clickhouse_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    state = tmp_path_factory.mktemp("state")
    with running_up(store=clickhouse_server.url("up"), state_folder=str(state)) as server:
        [token_file] = state.glob("sql-token-*")
        yield Up(server.url, _as_folder(token_file), server.process, server.greeting)


def _as_folder(token_file: Path) -> Path:
    """The token where Up looks for it in a data folder."""
    (token_file.parent / "sql-token").symlink_to(token_file)
    return token_file.parent


def test_spans_and_sql_go_to_the_server(up: Up) -> None:
    assert up.post(BODY).status_code == 200
    assert up.rows("SELECT ServiceName, count() FROM otel_traces GROUP BY 1") == [["shop", 5]]
    assert up.sql("SELECT * FROM system.users").json()["error"]["kind"] == "refused"
    assert up.sql("SELECT count() FRO otel_traces").json()["error"]["position"] == 20


def test_server_that_is_away_is_503_with_retry_after(tmp_path: Path) -> None:
    found = library()
    require(found is not None, "the ClickHouse test server")
    assert found is not None
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(running_server(found))
        up = stack.enter_context(running_up(store=server.url("up"), state_folder=str(tmp_path)))
        assert up.post(BODY).status_code == 200
        os.kill(server.pid, signal.SIGKILL)
        answer = up.post(BODY)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert Status.FromString(answer.content).code == 14  # UNAVAILABLE
        assert up.request("GET", "/healthz").status_code == 503

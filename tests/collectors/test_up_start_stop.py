"""How `fanlight up` starts, what it says when it cannot, and that stopping it loses nothing."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from fanlight_collectors.config import ConfigError, UpConfig
from otlp_requests import make_request, make_span
from up_process import Up, running_up, start_up

SPANS_PER_BATCH = 20
TOKEN = "a-token-that-is-long-enough"


def failure_of(process: "subprocess.Popen[str]") -> str:
    """What a start that fails says on stderr; the exit code is 2."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, (out, err)
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1, err
    return lines[0]


def test_start_prints_four_lines_that_say_where_and_how() -> None:
    with running_up() as up:
        where, data, point, look = up.greeting.splitlines()
        assert up.url in where
        assert str(up.folder) in data
        assert f"OTEL_EXPORTER_OTLP_ENDPOINT={up.url}" in point
        assert f"fanlight stats --store {up.url}" in look


def test_where_every_address_is_listened_at_the_addresses_that_are_printed_work(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with running_up(listen="0.0.0.0:0", token_file=str(tmp_path / "token")) as up:
        where, _data, point, look = up.greeting.splitlines()
    assert re.search(r"on http://127\.0\.0\.1:\d+ and at this machine's other addresses", where)
    assert look.endswith(f"fanlight stats --store {up.url}")
    setting = point.partition(":   ")[2]
    shown = subprocess.run(
        ["sh", "-c", f"{setting} env"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT={up.url}" in shown
    assert f"OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer {TOKEN}" in shown


def test_port_in_use_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        message = failure_of(start_up(tmp_path / "data", listen=address))
    assert message.startswith(f"fanlight up: cannot listen on {address}")
    assert "--listen" in message


def test_folder_that_another_up_holds_is_named_with_its_process() -> None:
    with running_up() as up:
        token = up.sql_token
        message = failure_of(start_up(up.folder))
        assert f"process {up.process.pid}" in message
        assert "--store http://" in message
        assert up.sql_token == token
        assert up.rows("SELECT 1") == [[1]]


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in failure_of(start_up(tmp_path / "file" / "data"))


def test_store_server_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    message = failure_of(
        start_up(tmp_path, store=f"clickhouse://ann:secret@{address}/x", state_folder=str(tmp_path))
    )
    assert address in message
    assert "secret" not in message


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_other_machines_need_a_token(tmp_path: Path, listen: str) -> None:
    message = failure_of(start_up(tmp_path / "data", listen=listen))
    assert "--token-file" in message


def test_short_token_is_refused(tmp_path: Path) -> None:
    assert "at least 16" in failure_of(start_up(tmp_path / "data", listen="0.0.0.0:0", token="short"))


def test_with_a_token_senders_must_show_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with running_up(listen="127.0.0.1:0", token_file=str(tmp_path / "token")) as up:
        body = make_request([make_span()]).SerializeToString()
        assert up.post(body).status_code == 401
        assert up.post(body, authorization="Bearer wrong").status_code == 401
        assert up.post(body, authorization=f"Bearer {TOKEN}").status_code == 200
        assert up.post(body, authorization=f"Bearer {TOKEN}", host="collector.example").status_code == 200
        assert up.request("POST", "/v1/sql", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 401


def test_configuration_tells_all_problems_at_once() -> None:
    environ = {"FANLIGHT_UP_LISTEN": "nowhere", "FANLIGHT_UP_QUEUE_BYTES": "1"}
    with pytest.raises(ConfigError) as raised:
        UpConfig.from_environment(environ)
    assert len(str(raised.value).splitlines()) == 2


def test_flag_beats_variable_beats_default() -> None:
    environ = {"FANLIGHT_UP_LISTEN": "127.0.0.1:1"}
    assert UpConfig.from_environment({}).listen == "127.0.0.1:4318"
    assert UpConfig.from_environment(environ).listen == "127.0.0.1:1"
    assert UpConfig.from_environment(environ, listen="127.0.0.1:2").listen == "127.0.0.1:2"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_under_load_loses_nothing_that_was_acknowledged(number: int) -> None:
    with running_up() as up:
        senders = [Sender(up, client) for client in range(8)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.has_sent.wait(30)
        assert up.stop(number) == 0
        for sender in senders:
            sender.join(30)
        acknowledged = {(sender.client, batch) for sender in senders for batch in sender.acknowledged}
        assert acknowledged
        assert acknowledged <= batches_in(up.folder)


READER = """
import json, sys
from fanlight_schema.store import open_store
with open_store(f"chdb://{sys.argv[1]}", create=False) as store:
    print(json.dumps(store.query("SELECT ServiceName, count() FROM otel_traces GROUP BY ServiceName").rows))
"""


def batches_in(folder: Path) -> set[tuple[int, int]]:
    """Client and number of every batch that is stored whole, read by a process of its own."""
    out = subprocess.run(
        [sys.executable, "-c", READER, str(folder)], capture_output=True, check=True, timeout=60
    )
    names = [name for name, spans in json.loads(out.stdout) if spans == SPANS_PER_BATCH]
    return {(int(client[1:]), int(batch[1:])) for client, batch in (name.split("-") for name in names)}


class Sender(threading.Thread):
    """Posts batches until the server is gone; keeps which were acknowledged."""

    def __init__(self, up: Up, client: int) -> None:
        super().__init__(daemon=True)
        self.client = client
        self.acknowledged: list[int] = []
        self.sent = 0
        self.has_sent = threading.Event()
        self._up = up

    def run(self) -> None:
        with httpx.Client(base_url=self._up.url, timeout=60, trust_env=False) as client:
            while True:
                service = f"c{self.client}-b{self.sent}"
                body = make_request(
                    [make_span(number) for number in range(SPANS_PER_BATCH)], service
                ).SerializeToString()
                headers = {"content-type": "application/x-protobuf"}
                self.sent += 1
                try:
                    answer = client.post("/v1/traces", content=body, headers=headers)
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    self.acknowledged.append(self.sent - 1)
                if len(self.acknowledged) >= 3:
                    self.has_sent.set()

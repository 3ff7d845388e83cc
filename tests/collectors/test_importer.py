"""`import`: every form that OTLP has in files, and files that are none."""

import gzip
import json
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from fanlight_collectors.importer import ImportReport, StoreSink, UpSink, import_files
from fanlight_schema import migrate
from fanlight_schema.store import Store, StoreUnavailable
from otlp_requests import make_request, make_span, to_json
from up_process import running_up

REQUESTS = [
    make_request([make_span(10 * group + number) for number in range(3)], f"s{group}") for group in range(3)
]
JSON_REQUESTS = [to_json(request) for request in REQUESTS]
MESSAGES = [request.SerializeToString() for request in REQUESTS]


def varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


FORMS = {
    "one-request.json": (json.dumps(JSON_REQUESTS[0]).encode(), 3),
    "indented.json": (json.dumps(JSON_REQUESTS[0], indent=2).encode(), 3),
    "with-bom.json": (b"\xef\xbb\xbf" + json.dumps(JSON_REQUESTS[0]).encode(), 3),
    "array.json": (json.dumps(JSON_REQUESTS).encode(), 9),
    "lines.jsonl": ("\n".join(map(json.dumps, JSON_REQUESTS)).encode() + b"\n\n", 9),
    "one-message.pb": (MESSAGES[0], 3),
    "varint-delimited.pb": (b"".join(varint(len(one)) + one for one in MESSAGES), 9),
    "length-prefixed.pb": (b"".join(len(one).to_bytes(4, "big") + one for one in MESSAGES), 9),
    "lines.jsonl.gz": (gzip.compress("\n".join(map(json.dumps, JSON_REQUESTS)).encode()), 9),
    "one-message.pb.gz": (gzip.compress(MESSAGES[1]), 3),
    "varint-delimited-without-ending": (gzip.compress(varint(len(MESSAGES[0])) + MESSAGES[0]), 3),
}


@pytest.fixture
def traces_store(bare_store: Store) -> Store:
    """Only the tables that an import writes."""
    for migration in migrate.migrations()[:4]:
        bare_store.command(migration.sql.replace("{database}", bare_store.database))
    return bare_store


def put(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def stored(store: Store) -> int:
    return int(store.query("SELECT count() FROM otel_traces").rows[0][0])


def test_every_form_of_file_is_imported(traces_store: Store, tmp_path: Path) -> None:
    paths = [put(tmp_path, name, content) for name, (content, _) in FORMS.items()]
    report = import_files(paths, StoreSink(traces_store))
    expected = sum(spans for _, spans in FORMS.values())
    assert (report.spans, report.problems, report.files) == (expected, [], len(FORMS))
    assert stored(traces_store) == expected


@pytest.mark.parametrize("name", FORMS)
def test_each_form_alone_has_its_spans(name: str, tmp_path: Path) -> None:
    content, spans = FORMS[name]
    assert counted(put(tmp_path, name, content)).documents == spans // 3


class CountingSink:
    """Takes documents and does nothing."""

    def add(self, document: object, path: Path, report: ImportReport) -> None:
        pass

    def finish(self, report: ImportReport) -> None:
        pass


def counted(*paths: Path) -> ImportReport:
    return import_files(paths, CountingSink())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"  \n ", "is empty"),
        (b"{", "is not JSON"),
        (b'{"a": 1}', "no resourceSpans"),
        (b"[1, 2]", "no resourceSpans"),
        (b"hello world", "neither OTLP JSON nor"),
        (b"\x00\x01\x02\x03", "neither OTLP JSON nor"),
        (MESSAGES[0][:-5], "neither OTLP JSON nor"),
        (gzip.compress(MESSAGES[0])[:-9], "no complete gzip"),
        (b"PK\x03\x04zip", "neither OTLP JSON nor"),
    ],
)
def test_file_that_is_no_otlp_is_a_problem_with_its_reason(
    tmp_path: Path, content: bytes, message: str
) -> None:
    bad, good = put(tmp_path, "bad", content), put(tmp_path, "good.pb", MESSAGES[0])
    report = counted(bad, good)
    assert report.documents == 1
    assert {problem.path for problem in report.problems} == {bad}
    assert message in str(report.problems[0])


def test_missing_file_and_folder_are_problems(tmp_path: Path) -> None:
    report = counted(tmp_path / "nowhere", tmp_path)
    assert [problem.message for problem in report.problems] == [
        "cannot be read: No such file or directory",
        "cannot be read: Is a directory",
    ]


def test_bad_line_is_named_and_the_other_lines_are_taken(tmp_path: Path) -> None:
    lines = [json.dumps(JSON_REQUESTS[0]), "{broken", json.dumps({"x": 1}), json.dumps(JSON_REQUESTS[1])]
    report = counted(put(tmp_path, "some.jsonl", "\n".join(lines).encode()))
    assert report.documents == 2
    assert [problem.place for problem in report.problems] == ["line 2", "line 3"]


def test_metrics_and_logs_are_skipped_and_counted(tmp_path: Path) -> None:
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add()
    metric.name = "m"
    metric.gauge.data_points.add().as_int = 1
    logs = ExportLogsServiceRequest()
    logs.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "hello"
    report = counted(
        put(tmp_path, "metrics.pb", metrics.SerializeToString()),
        put(tmp_path, "logs.pb", logs.SerializeToString()),
        put(tmp_path, "metrics.json", json.dumps({"resourceMetrics": []}).encode()),
        put(tmp_path, "logs.json", json.dumps({"resourceLogs": []}).encode()),
    )
    assert (report.skipped, report.documents, report.problems) == ({"metrics": 2, "logs": 2}, 0, [])


def test_bad_spans_are_counted_in_the_report_and_in_the_store(traces_store: Store, tmp_path: Path) -> None:
    spans: list[Span] = [make_span(1), make_span(2, trace_id=b"x")]
    report = import_files(
        [put(tmp_path, "t.pb", make_request(spans).SerializeToString())], StoreSink(traces_store)
    )
    assert (report.spans, report.rejected) == (1, {"invalid_trace_id": 1})
    assert traces_store.query("SELECT reason, count, source FROM ingest_rejects").rows == [
        ("invalid_trace_id", 1, "import")
    ]


def test_import_through_a_running_up(tmp_path: Path) -> None:
    large = make_request([make_span(n, attributes={"p": "x" * 2**20}) for n in range(3)], "large")
    large.MergeFrom(make_request([make_span(n, attributes={"p": "x" * 2**20}) for n in range(3)], "large2"))
    paths = [put(tmp_path, name, content) for name, (content, _) in FORMS.items()]
    paths.append(put(tmp_path, "large.pb", large.SerializeToString()))
    paths.append(put(tmp_path, "large.json", json.dumps(to_json(large)).encode()))
    expected = sum(spans for _, spans in FORMS.values()) + 12
    with running_up() as up:
        sink = UpSink(up.url)
        report = import_files(paths, sink)
        sink.close()
        assert (report.spans, report.problems) == (expected, [])
        # A block that the store has already is dropped, and the forms repeat each other: so distinct spans.
        assert up.rows("SELECT uniqExact(ServiceName, SpanId) FROM otel_traces") == [[9 + 6]]


def test_up_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    sink = UpSink("http://127.0.0.1:9")
    with pytest.raises(StoreUnavailable, match="did not answer"):
        import_files([put(tmp_path, "t.pb", MESSAGES[0])], sink)
    sink.close()

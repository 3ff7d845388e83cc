"""Imports through a running `fanlight up`, which holds the data folder open."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from fanlight_collectors.importer.documents import Document
from fanlight_collectors.importer.report import ImportReport, Problem
from fanlight_collectors.importer.sinks import decode_document
from fanlight_collectors.otlp import MalformedBody
from fanlight_collectors.otlp.answers import JSON, PROTOBUF, Encoding
from fanlight_schema.store import StoreUnavailable

POST_BYTES: Final = 4 * 2**20  # protobuf requests are joined up to this; up takes 20 MiB
POST_TIMEOUT_S: Final = 120.0
RETRIES: Final = 8  # of an answer that says "come back"


class UpSink:
    """Posts requests to /v1/traces of an up; decoding them here too tells what it stores and rejects."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=POST_TIMEOUT_S, trust_env=False)
        self._held = bytearray()

    def add(self, document: Document, path: Path, report: ImportReport) -> None:
        try:
            batch = decode_document(document)
        except MalformedBody as exc:
            report.problems.append(Problem(path, document.place, str(exc)))
            return
        report.rejected.update(reject.reason for reject in batch.rejects)
        report.repaired.update(batch.repairs)
        report.spans += batch.rows
        if document.json is not None:
            for body in _json_bodies(document.json):
                self._post(body, JSON)
            return
        for piece in _pieces(document.protobuf):
            if len(self._held) + len(piece) > POST_BYTES:
                self.finish(report)
            self._held += piece

    def finish(self, report: ImportReport) -> None:
        if self._held:
            self._post(bytes(self._held), PROTOBUF)
            self._held.clear()

    def close(self) -> None:
        self._client.close()

    def _post(self, body: bytes, encoding: Encoding) -> None:
        headers = {"content-type": encoding}
        for _ in range(RETRIES):
            try:
                answer = self._client.post("/v1/traces", content=body, headers=headers)
            except httpx.HTTPError as exc:
                raise StoreUnavailable(f"the up at {self._client.base_url} did not answer: {exc}") from exc
            if answer.is_success:
                return
            if answer.status_code not in (429, 503):
                break
            time.sleep(float(answer.headers.get("retry-after", "1")))
        raise StoreUnavailable(
            f"the up at {self._client.base_url} answered {answer.status_code}: {answer.text}"
        )


def _json_bodies(request: dict[str, object]) -> Iterator[bytes]:
    """The request in bodies of about POST_BYTES: cut between resources, never inside one."""
    parts = request.get("resourceSpans") or request.get("resource_spans")
    held: list[str] = []
    for part in parts if isinstance(parts, list) else []:
        text = json.dumps(part)
        if held and sum(map(len, held)) + len(text) > POST_BYTES:
            yield _json_body(held)
            held = []
        held.append(text)
    if held:
        yield _json_body(held)


def _json_body(parts: list[str]) -> bytes:
    return ('{"resourceSpans":[' + ",".join(parts) + "]}").encode()


def _pieces(message: bytes) -> Iterator[bytes]:
    """The request itself, or where it is too large one request for each of its resources; joined they are the
    same again, for protobuf appends repeated fields."""
    try:
        parts = (
            ExportTraceServiceRequest.FromString(message).resource_spans if len(message) > POST_BYTES else ()
        )
    except DecodeError:  # text that is not UTF-8, which only up's own decoder repairs
        parts = ()
    if not parts:
        yield message
    for part in parts:
        yield ExportTraceServiceRequest(resource_spans=[part]).SerializeToString()

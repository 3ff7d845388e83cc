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

POST_BYTES: Final = 4 * 2**20  # requests are joined up to this; up takes 20 MiB
POST_TIMEOUT_S: Final = 120.0
RETRIES: Final = 8  # of an answer that says "come back"


class UpSink:
    """Posts requests to /v1/traces of an up; decoding them here too tells what it stores and rejects."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=POST_TIMEOUT_S, trust_env=False)
        self._protobuf = bytearray()
        self._json: list[str] = []  # resourceSpans, each one serialized

    def add(self, document: Document, path: Path, report: ImportReport) -> None:
        try:
            batch = decode_document(document)
        except MalformedBody as exc:
            report.problems.append(Problem(path, document.place, str(exc)))
            return
        report.reject(path, document.place, batch.rejects)
        report.repaired.update(batch.repairs)
        report.spans += batch.rows
        if document.json is not None:
            self._hold_json(document.json, report)
        else:
            self._hold_protobuf(document.protobuf, report)

    def finish(self, report: ImportReport) -> None:
        if self._protobuf:
            self._post(bytes(self._protobuf), PROTOBUF)
        if self._json:
            self._post(('{"resourceSpans":[' + ",".join(self._json) + "]}").encode(), JSON)
        self._protobuf.clear()
        self._json.clear()

    def _hold_json(self, request: dict[str, object], report: ImportReport) -> None:
        parts = request.get("resourceSpans") or request.get("resource_spans")
        for part in parts if isinstance(parts, list) else []:
            text = json.dumps(part)
            if sum(map(len, self._json)) + len(text) > POST_BYTES:
                self.finish(report)
            self._json.append(text)

    def _hold_protobuf(self, message: bytes, report: ImportReport) -> None:
        for piece in _pieces(message):
            if len(self._protobuf) + len(piece) > POST_BYTES:
                self.finish(report)
            self._protobuf += piece

    def close(self) -> None:
        self._client.close()

    def _post(self, body: bytes, encoding: Encoding) -> None:
        answer = self._send(body, encoding)
        for _ in range(RETRIES):
            if answer.status_code not in (429, 503):
                break
            time.sleep(float(answer.headers.get("retry-after", "1")))
            answer = self._send(body, encoding)
        if not answer.is_success:
            where = f"the up at {self._client.base_url}"
            raise StoreUnavailable(f"{where} answered {answer.status_code}: {answer.text[:500]}")

    def _send(self, body: bytes, encoding: Encoding) -> httpx.Response:
        try:
            return self._client.post("/v1/traces", content=body, headers={"content-type": encoding})
        except httpx.HTTPError as exc:
            raise StoreUnavailable(f"the up at {self._client.base_url} did not answer: {exc}") from exc


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

"""POST /v1/traces: reads, decodes and stores one OTLP request, and answers as OTLP says."""

import asyncio
import logging
from collections import Counter
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fanlight_collectors.otlp import MalformedBody, SpanBatch, decode_json
from fanlight_collectors.otlp.answers import JSON, PROTOBUF, Answer, Encoding, failure, success
from fanlight_collectors.up.body import (
    MAX_BODY_BYTES,
    BadCompression,
    BodyTooLarge,
    UnsupportedEncoding,
    drain,
    read_body,
)
from fanlight_collectors.up.writer import ByteBudget, GroupWriter, NotStorable, QueueFull
from fanlight_schema.sizes import size_text
from fanlight_schema.store import StoreError

log = logging.getLogger(__name__)

READ_TIMEOUT_S: Final = 60  # of a whole body
STORE_RETRY_AFTER_S: Final = 5
QUEUE_RETRY_AFTER_S: Final = 1


@dataclass(slots=True)
class Lease:
    """A request's share of the byte budget, given back when the request is answered."""

    budget: ByteBudget
    held: int = 0

    def take(self, size: int) -> None:
        self.budget.take(size)
        self.held += size

    def release(self) -> None:
        self.budget.give_back(self.held)
        self.held = 0


@dataclass(frozen=True, slots=True)
class Receiver:
    """Takes trace requests for one writer."""

    writer: GroupWriter
    budget: ByteBudget
    decoders: Executor
    counts: Counter[str] = field(default_factory=Counter)

    async def receive(self, request: Request) -> Response:
        encoding = request_encoding(request)
        if encoding is None:
            return self._send(
                failure(
                    415, f"the content type is not {PROTOBUF} or {JSON}, which are what OTLP/HTTP has", JSON
                )
            )
        lease = Lease(self.budget)
        try:
            return self._send(await self._answer(request, encoding, lease))
        except ClientDisconnect:
            self.counts["disconnected"] += 1
            return Response(status_code=400)
        finally:
            lease.release()

    async def _answer(self, request: Request, encoding: Encoding, lease: Lease) -> Answer:
        try:
            return success(await self._take_in(request, encoding, lease), encoding)
        except BodyTooLarge:
            await drain(request.stream())
            return failure(
                413, f"the body has more than {size_text(MAX_BODY_BYTES)}; send smaller batches", encoding
            )
        except UnsupportedEncoding as exc:
            return failure(
                415, f"Content-Encoding {exc} is not supported; send gzip, deflate or none", encoding
            )
        except BadCompression as exc:
            return failure(400, f"the compressed body cannot be read: {exc}", encoding)
        except MalformedBody as exc:
            return failure(400, str(exc), encoding)
        except QueueFull:
            await drain(request.stream())
            return failure(
                429, "too many spans are waiting to be stored; come back", encoding, QUEUE_RETRY_AFTER_S
            )
        except asyncio.TimeoutError:
            return failure(408, f"the body did not arrive within {READ_TIMEOUT_S} s", encoding)
        except NotStorable as exc:
            return failure(500, f"the store refuses these spans: {exc}", encoding)
        except StoreError as exc:
            return failure(503, f"the store does not take spans now: {exc}", encoding, STORE_RETRY_AFTER_S)

    async def _take_in(self, request: Request, encoding: Encoding, lease: Lease) -> SpanBatch:
        headers = request.headers
        reading = read_body(
            request.stream(),
            headers.get("content-encoding", ""),
            headers.get("content-length"),
            lease.take,
        )
        body = await asyncio.wait_for(reading, READ_TIMEOUT_S)
        if encoding == PROTOBUF:
            batch = await asyncio.wrap_future(self.writer.submit(body)) if body else SpanBatch()
        else:
            batch = await asyncio.get_running_loop().run_in_executor(self.decoders, decode_json, body)
            if batch.rows or batch.rejects:
                await asyncio.wrap_future(self.writer.submit(batch))
        self.counts["spans_rejected"] += len(batch.rejects)
        return batch

    def _send(self, answer: Answer) -> Response:
        self.counts[f"http_{answer.status}"] += 1
        headers = {} if answer.retry_after_s is None else {"Retry-After": str(answer.retry_after_s)}
        return Response(answer.body, answer.status, headers, answer.encoding)


def request_encoding(request: Request) -> Encoding | None:
    """The OTLP encoding that the Content-Type names; None for any other."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return PROTOBUF if media_type == PROTOBUF else JSON if media_type == JSON else None

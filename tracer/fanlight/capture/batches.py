"""Batch jobs: what a job says of itself, and its results, each what one request was answered.

    read_line(b'{"custom_id": "a", "response": {"status_code": 200, "body": {"object": "chat.completion"}}}')
    read_job({"id": "batch_1", "completed_at": 1790000600, "output_file_id": "file-1"}).results == ("file-1",)

Results are a file of lines: OpenAI's and Mistral's output and error files
(https://platform.openai.com/docs/api-reference/batch/request-output, https://docs.mistral.ai/api/#tag/batch),
Anthropic's results (https://docs.anthropic.com/en/api/retrieving-message-batch-results), Gemini's
`responsesFile` (https://ai.google.dev/gemini-api/docs/batch-api); or they stand in the job, as Gemini's
`inlinedResponses` and Mistral's `outputs` do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from fanlight.capture.answer import Answer
from fanlight.capture.endpoints import endpoint_of
from fanlight.capture.values import count, decode_object, mapping, mappings, member, text
from fanlight.capture.wire_format import Endpoint

# The kind of an answer's object, and where it was asked for.
_PATHS = {
    "chat.completion": "/v1/chat/completions",
    "text_completion": "/v1/completions",
    "response": "/v1/responses",
    "list": "/v1/embeddings",
    "message": "/v1/messages",
}
_GENERATE = "/v1beta/models/-:generateContent"
_EMBED = "/v1beta/models/-:embedContent"
_ENDS = ("completed_at", "ended_at", "endTime", "expired_at", "cancelled_at", "failed_at")
_NEVER_SENT = frozenset(("canceled", "expired", "batch_expired", "batch_cancelled"))
# HTTP's for those of gRPC that say more than that a request was wrong (google/rpc/code.proto).
_RPC_STATUS = {2: 500, 4: 504, 8: 429, 13: 500, 14: 503, 15: 500}


@dataclass(frozen=True, slots=True)
class BatchLine:
    """One request of a batch and its answer."""

    custom_id: str  # unique in the batch
    endpoint: Endpoint
    answer: Answer
    status: int | None  # None: the provider does not say
    created_s: int | None  # when it was answered, seconds since 1970


@dataclass(frozen=True, slots=True)
class BatchJob:
    """A job as it describes itself."""

    name: str
    results: tuple[str, ...]  # the ids under which they are read
    ended_s: float | None  # seconds since 1970; None: it goes on
    lines: tuple[BatchLine, ...]  # results that stand in the description


def read_line(line: bytes) -> BatchLine | None:
    """What one line says; None if it is no result, or of a request that no model was asked."""
    decoded = decode_object(line)
    return None if decoded is None else _read_result(decoded)


def tells_an_end(body: bytes) -> bool:
    """Whether a description, or a list of some, can be of jobs that have ended; a look before decoding."""
    return any(f'"{name}"'.encode() in body for name in _ENDS)


def read_job(job: Mapping[str, object]) -> BatchJob | None:
    """What the description of a job says; None if it is none."""
    told = mapping(job.get("metadata")) if "endTime" in mapping(job.get("metadata")) else job
    name = text(job.get("id")) or text(job.get("name"))
    if name is None:
        return None
    output = mapping(told.get("output")) or mapping(job.get("response"))
    files = (job.get("output_file_id"), job.get("error_file_id"), job.get("output_file"))
    found = (text(results) for results in (*files, job.get("error_file"), output.get("responsesFile"), name))
    return BatchJob(
        name,
        tuple(results.removeprefix("files/") for results in found if results is not None),
        next(filter(None, (_seconds(told.get(name)) for name in _ENDS)), None),
        tuple(_lines_in(job, output)),
    )


def _lines_in(job: Mapping[str, object], output: Mapping[str, object]) -> Iterator[BatchLine]:
    for _, entry in mappings(job.get("outputs")):
        if (line := _read_result(entry)) is not None:
            yield line
    for kind in ("inlinedResponses", "inlinedEmbedContentResponses"):
        for place, entry in mappings(member(output, f"{kind}.inlinedResponses")):
            key = text(member(entry, "metadata.key")) or str(place)
            if (line := _of_gemini(key, entry)) is not None:
                yield line


def _read_result(decoded: Mapping[str, object]) -> BatchLine | None:
    custom_id, key = text(decoded.get("custom_id")), text(decoded.get("key"))
    if custom_id is None:
        return None if key is None else _of_gemini(key, decoded)
    if "result" in decoded:
        return _of_anthropic(custom_id, mapping(decoded["result"]))
    response, error = decoded.get("response"), decoded.get("error")
    if not (response or error):  # a line of what was asked
        return None
    if text(mapping(error).get("code")) in _NEVER_SENT:
        return None
    response = mapping(response)
    return _line(custom_id, mapping(response.get("body")), count(response.get("status_code")))


def _of_gemini(key: str, entry: Mapping[str, object]) -> BatchLine | None:
    response, error = mapping(entry.get("response")), mapping(entry.get("error"))
    if not response and not error:
        return None
    code = count(error.get("code")) or 0
    if code == 1:  # cancelled
        return None
    refused = code if code >= 400 else _RPC_STATUS.get(code, 400)
    path = _EMBED if "embedding" in response else _GENERATE
    return _absorbed(key, path, response or {"error": error}, refused if error else 200)


def _of_anthropic(custom_id: str, result: Mapping[str, object]) -> BatchLine | None:
    kind = result.get("type")
    if kind in _NEVER_SENT:
        return None
    failed = {"type": "message", "error": {"type": "error"}}
    body = mapping(result.get("message")) if kind == "succeeded" else failed
    return _line(custom_id, body, 200 if kind == "succeeded" else 400)


def _line(custom_id: str, body: Mapping[str, object], status: int | None) -> BatchLine | None:
    kind = text(body.get("object")) or text(body.get("type")) or "chat.completion"
    return _absorbed(custom_id, _PATHS.get(kind, _PATHS["chat.completion"]), body, status)


def _absorbed(custom_id: str, path: str, body: Mapping[str, object], status: int | None) -> BatchLine | None:
    endpoint = endpoint_of("POST", path)
    if endpoint is None:
        return None
    answer = Answer()
    endpoint.format.absorb(answer, body)
    created_s = count(body.get("created")) or count(body.get("created_at"))
    return BatchLine(custom_id, endpoint, answer, status, created_s)


_FRACTION = re.compile(r"\.\d+")


def _seconds(value: object) -> float | None:
    """OpenAI and Mistral give seconds since 1970, Anthropic and Gemini a date."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        return None
    try:
        return datetime.fromisoformat(_FRACTION.sub("", value).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None

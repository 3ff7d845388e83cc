"""Batch jobs for the mock provider: done at once, their results files of lines, or in the job.

Shapes follow https://platform.openai.com/docs/api-reference/batch,
https://docs.anthropic.com/en/api/creating-message-batches, https://docs.mistral.ai/api/#tag/batch and
https://ai.google.dev/api/batch-api.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import mock_anthropic
import mock_gemini
import mock_openai
from mock_reply import Json, Reply, compact

ENDED_AT = 1_790_000_600  # Unix seconds, and the same as Anthropic writes it
ENDED_AT_TEXT = "2026-09-21T14:23:20Z"
ASKED: Json = {"model": "m", "messages": [{"role": "user", "content": "one two three"}]}

_ids = itertools.count(1)


def openai_batch(body: Json, path: str) -> Reply:
    """`/batches`: two lines are answered, one is refused and one expires."""
    number = next(_ids)
    answers = [mock_openai.chat(ASKED, "") for _ in range(2)]
    good = [
        {
            "id": f"batch_req_{number}_{i}",
            "custom_id": f"line-{i}",
            "response": {"status_code": 200, "request_id": f"req-{i}", "body": answer.body},
            "error": None,
        }
        for i, answer in enumerate(answers)
    ]
    refusal = {"error": {"message": "no", "type": "invalid_request_error", "code": None}}
    refused = {
        "id": f"batch_req_{number}_2",
        "custom_id": "line-2",
        "response": {"status_code": 400, "request_id": "req-2", "body": refusal},
        "error": None,
    }
    expired = {
        "id": f"batch_req_{number}_3",
        "custom_id": "line-3",
        "response": None,
        "error": {"code": "batch_expired", "message": "late"},
    }
    job = {
        "id": f"batch_{number}",
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "input_file_id": body.get("input_file_id"),
        "completion_window": "24h",
        "created_at": ENDED_AT - 60,
        "output_file_id": f"file-out-{number}",
        "error_file_id": f"file-err-{number}",
    }
    done = {**job, "status": "completed", "completed_at": ENDED_AT}
    later: dict[str, list[Json | str]] = {
        f"/batches/batch_{number}": [done],
        f"/files/file-out-{number}/content": ["".join(f"{compact(line)}\n" for line in good)],
        f"/files/file-err-{number}/content": ["\n".join(compact(line) for line in (refused, expired))],
    }
    return Reply({**job, "status": "in_progress"}, said={"lines": [_cost(a) for a in answers]}, later=later)


def anthropic_batch(body: Json, path: str) -> Reply:
    """`/v1/messages/batches`: every request is answered, but the last is cancelled."""
    number = f"msgbatch_{next(_ids)}"
    *asked, last = body["requests"]
    answers = [mock_anthropic.messages(one["params"], "") for one in asked]
    lines: list[Json] = [
        {"custom_id": one["custom_id"], "result": {"type": "succeeded", "message": answer.body}}
        for one, answer in zip(asked, answers, strict=True)
    ]
    lines.append({"custom_id": last["custom_id"], "result": {"type": "canceled"}})
    job = {
        "id": number,
        "type": "message_batch",
        "processing_status": "in_progress",
        "request_counts": {"processing": 0, "succeeded": 2, "errored": 0, "canceled": 1, "expired": 0},
        "created_at": ENDED_AT_TEXT,
        "expires_at": ENDED_AT_TEXT,
        "ended_at": None,
        "results_url": None,
        "archived_at": None,
        "cancel_initiated_at": None,
    }
    done = {
        **job,
        "processing_status": "ended",
        "ended_at": ENDED_AT_TEXT,
        "results_url": f"{{base}}/v1/messages/batches/{number}/results",
    }
    later: dict[str, list[Json | str]] = {
        f"/v1/messages/batches/{number}/results": ["".join(f"{compact(line)}\n" for line in lines)],
        f"/v1/messages/batches/{number}": [done],
    }
    return Reply(job, said={"lines": [_cost(answer) for answer in answers]}, later=later)


def mistral_batch(body: Json, path: str) -> Reply:
    """`/v1/batch/jobs`: two lines are answered and one is refused; in the job too, where they are inline."""
    number = f"mistral-batch-{next(_ids)}"
    answers = [mock_openai.mistral_chat({**ASKED, "model": body["model"]}, "") for _ in range(2)]
    lines: list[Json] = [
        {"id": f"{number}-{i}", "custom_id": f"line-{i}", "response": {"status_code": 200, "body": a.body}}
        for i, a in enumerate(answers)
    ]
    refused = {"id": f"{number}-2", "custom_id": "line-2", "error": {"message": "no"}}
    lines.append({**refused, "response": {"status_code": 422, "body": {"object": "error", "type": "bad"}}})
    job = {
        "id": number,
        "object": "batch",
        "input_files": body.get("input_files") or [],
        "metadata": {},
        "endpoint": body["endpoint"],
        "model": body["model"],
        "errors": [],
        "created_at": ENDED_AT - 60,
        "total_requests": 3,
        "completed_requests": 3,
        "succeeded_requests": 2,
        "failed_requests": 1,
    }
    done = {**job, "status": "SUCCESS", "completed_at": ENDED_AT, "started_at": ENDED_AT - 30}
    if body.get("requests"):
        done["outputs"] = lines
    else:
        done["output_file"] = f"out-{number}"
    later: dict[str, list[Json | str]] = {
        f"/v1/batch/jobs/{number}": [done],
        f"/v1/files/out-{number}/content": ["".join(f"{compact(line)}\n" for line in lines)],
    }
    said = {"lines": [_cost(answer) for answer in answers]}
    return Reply({**job, "status": "QUEUED"}, said=said, later=later)


def gemini_batch(body: Json, path: str) -> Reply:
    """`:batchGenerateContent`: two requests are answered and one is refused; in a file if asked with one."""
    number = f"g{next(_ids)}"
    asked = {"contents": [{"parts": [{"text": "one two three"}]}]}
    answers = [mock_gemini.generate(asked, "/models/m:generateContent") for _ in range(2)]
    error = {"code": 3, "message": "no", "status": "INVALID_ARGUMENT"}
    results: list[Json] = [*({"response": answer.body} for answer in answers), {"error": error}]
    given = body["batch"]
    inline = "requests" in given.get("inputConfig", given.get("input_config", {}))
    output: Json = {"responsesFile": f"files/batch-{number}"}
    if inline:
        output = {"inlinedResponses": {"inlinedResponses": results}}
    told = {
        "@type": "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch",
        "model": "models/m",
        "displayName": "batch",
        "name": f"batches/{number}",
        "createTime": ENDED_AT_TEXT,
        "state": "BATCH_STATE_PENDING",
    }
    ended = {"endTime": ENDED_AT_TEXT.replace("Z", ".123456789Z"), "state": "BATCH_STATE_SUCCEEDED"}
    name = {"name": f"batches/{number}"}
    done = {**name, "metadata": {**told, **ended, "output": output}, "done": True, "response": output}
    keyed = [{"key": f"line-{i}", **result} for i, result in enumerate(results)]
    later: dict[str, list[Json | str]] = {
        f"/batches/{number}": [done],
        f"/files/batch-{number}:download": ["".join(f"{compact(line)}\n" for line in keyed)],
    }
    said = {"lines": [_cost(answer) for answer in answers]}
    return Reply({**name, "metadata": told}, said=said, later=later)


def _cost(answer: Reply) -> Json:
    return {"input": answer.input_tokens, "output": answer.output_tokens, **answer.said}


FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    "/v1/messages/batches": anthropic_batch,
    "/batches": openai_batch,
    "/v1/batch/jobs": mistral_batch,
    ":batchGenerateContent": gemini_batch,
}

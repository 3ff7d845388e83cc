"""Batch jobs of OpenAI and Anthropic for the mock provider: done at once, their results files of lines.

Shapes follow https://platform.openai.com/docs/api-reference/batch and
https://docs.anthropic.com/en/api/creating-message-batches.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import mock_anthropic
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


def _cost(answer: Reply) -> Json:
    return {"input": answer.input_tokens, "output": answer.output_tokens, **answer.said}


FORMATS: dict[str, Callable[[Json, str], Reply]] = {
    "/v1/messages/batches": anthropic_batch,
    "/batches": openai_batch,
}

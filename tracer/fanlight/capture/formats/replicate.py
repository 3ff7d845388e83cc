"""Replicate: https://replicate.com/docs/reference/http. A prediction is asked for once and then polled.

id       id         finish reason   status      tokens   metrics, by the rule REPLICATE
model    model      error           error       times    metrics.predict_time, total_time, in s
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, ServerTimings
from fanlight.capture.formats.openai import absorb_error
from fanlight.capture.token_rules import REPLICATE
from fanlight.capture.values import mapping, seconds, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what a prediction says."""
    answer.id = text(body.get("id")) or answer.id
    answer.model = text(body.get("model")) or answer.model
    status = text(body.get("status"))
    if status in ("succeeded", "failed", "canceled"):
        answer.finish_reasons[0] = status
    metrics = mapping(body.get("metrics"))
    answer.usage = REPLICATE.read(metrics) or answer.usage
    if metrics:
        answer.timings = ServerTimings(
            first_token_s=seconds(metrics.get("time_to_first_token")),
            inference_s=seconds(metrics.get("predict_time")),
            total_s=seconds(metrics.get("total_time")),
        )
    absorb_error(answer, body.get("error"))
    return False


PREDICTIONS = WireFormat(
    "replicate",
    "replicate",
    absorb,
    Fields(model=("version",), max_tokens=("input.max_tokens", "input.max_new_tokens")),
)

ENDPOINTS = (
    endpoint("text_completion", "/models/{owner/model}/predictions", PREDICTIONS, "input"),
    endpoint("text_completion", "/deployments/{owner/model}/predictions", PREDICTIONS, "input"),
    endpoint("text_completion", "/v1/predictions", PREDICTIONS, "input", also=("version",)),
)

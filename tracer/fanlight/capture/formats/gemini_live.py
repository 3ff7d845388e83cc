"""Gemini's Live API over a websocket: https://ai.google.dev/api/live.

The first message of the client (`setup`) names the model. Each turn of the model, up to its end, its
interruption or a call of a tool, is one request; its tokens come in `usageMetadata`, by the rule GEMINI_LIVE.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer
from fanlight.capture.token_rules import GEMINI_LIVE
from fanlight.capture.values import mapping, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint


def absorb_live(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what one message of the server says."""
    content = mapping(body.get("serverContent"))
    reason = text(content.get("turnCompleteReason"))
    if "toolCall" in body:
        reason = "tool_call"
    elif content.get("interrupted") is True:
        reason = "interrupted"
    if reason is not None:
        answer.finish_reasons[0] = reason
    answer.usage = GEMINI_LIVE.read(mapping(body.get("usageMetadata"))) or answer.usage
    return reason is not None or content.get("turnComplete") is True


LIVE_FORMAT = WireFormat(
    "gemini.live",
    "gcp.gemini",
    absorb_live,
    Fields(max_tokens=("setup.generationConfig.maxOutputTokens",), model=("setup.model",)),
    text_keys=("text",),
    news_keys=("turnComplete", "usageMetadata", "interrupted", "toolCall"),
)
# Not among the endpoints of HTTP: only a websocket leads there.
LIVE = endpoint("generate_content", "/BidiGenerateContent", LIVE_FORMAT, "setup")

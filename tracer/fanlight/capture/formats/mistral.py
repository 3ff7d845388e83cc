"""What Mistral has beside OpenAI's chat format: https://docs.mistral.ai/api/.

Conversations answer with `conversation_id` and a `usage` whose `connector_tokens` are input that tools
brought in. OCR counts pages and no tokens. Listing and reading conversations are no requests.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer
from fanlight.capture.formats import openai
from fanlight.capture.values import added, count, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what a conversation, or one event of its stream, says."""
    if answer.id is None:
        answer.id = text(body.get("conversation_id"))
    answer.model = text(body.get("model")) or answer.model
    usage = body.get("usage")
    if isinstance(usage, dict):
        openai.absorb_usage(answer, usage)
        _add_connectors(answer, usage)
    kind = body.get("type")
    if kind == "conversation.response.error":
        answer.error_type = str(body.get("code") or "error")
    return kind in ("conversation.response.done", "conversation.response.error")


def _add_connectors(answer: Answer, usage: Mapping[str, object]) -> None:
    brought, found = count(usage.get("connector_tokens")), answer.usage
    if found is None or not brought:
        return
    if added(found.input_tokens, found.output_tokens, brought) == count(usage.get("total_tokens")):
        answer.usage = found._replace(input_tokens=added(found.input_tokens, brought))


CONVERSATIONS = WireFormat(
    "mistral.conversations",
    "mistral_ai",
    absorb,
    Fields(model=("model", "agent_id"), max_tokens=("completion_args.max_tokens",)),
    text_keys=("content", "text", "arguments"),
    news_keys=("usage",),
)

ENDPOINTS = (
    endpoint("chat", "/conversations", CONVERSATIONS, "inputs"),
    endpoint("chat", "/conversations/*", CONVERSATIONS, "inputs"),
    endpoint("chat", "/conversations/*/restart", CONVERSATIONS, "inputs"),
    endpoint("chat", "/agents/completions", openai.CHAT, "messages"),
    endpoint("text_completion", "/fim/completions", openai.CHAT, "prompt", inputs="prompt"),
    endpoint("ocr", "/ocr", openai.CHAT, "document", also=("model",)),
    # and the other partners of Vertex, of which Anthropic alone has a format of its own
    endpoint("chat", "/publishers/*/models/{model}:rawPredict", openai.CHAT, "messages", "prompt"),
    endpoint("chat", "/publishers/*/models/{model}:streamRawPredict", openai.CHAT, "messages", "prompt"),
)

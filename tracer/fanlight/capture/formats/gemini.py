"""Gemini, at AI Studio and at Vertex: https://ai.google.dev/api/generate-content.

    id       responseId          finish reasons   candidates[].finishReason, promptFeedback.blockReason
    model    modelVersion        tokens           usageMetadata, by the rule GEMINI
    error    error.status

The model, and whether the answer is a stream, are in the path;
without `?alt=sse` the stream is one JSON array. Interactions (https://ai.google.dev/api/interactions-api)
name the same things in another way. Counting tokens, files and caches are no requests.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, Usage
from fanlight.capture.token_rules import GEMINI, GEMINI_INTERACTIONS
from fanlight.capture.values import added, count, mapping, mappings, member, text
from fanlight.capture.wire_format import Fields, WireFormat, endpoint

# Where a client asks for enums as numbers (google.cloud.aiplatform.v1, Candidate.FinishReason); the numbers
# from 6 on are not the same at AI Studio.
_REASONS = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION", 5: "OTHER"}


def absorb(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what an answer, or one part of its stream, says."""
    body = mapping(body.get("response")) or body  # Code Assist, the service behind Gemini's command line
    if answer.id is None:
        answer.id = text(body.get("responseId"))
    answer.model = text(body.get("modelVersion")) or answer.model
    for place, candidate in mappings(body.get("candidates")):
        reason = candidate.get("finishReason")
        reason = _REASONS.get(reason, str(reason)) if isinstance(reason, int) else text(reason)
        if reason is not None:
            answer.finish_reasons[count(candidate.get("index")) or place] = reason
    blocked = text(mapping(body.get("promptFeedback")).get("blockReason"))
    if blocked is not None and not answer.finish_reasons:
        answer.finish_reasons[0] = blocked
    answer.usage = read_usage(mapping(body.get("usageMetadata"))) or answer.usage
    _absorb_error(answer, body.get("error"))
    return False


def read_usage(usage: Mapping[str, object]) -> Usage | None:
    """Tokens from a `usageMetadata` object; what it leaves out of the output, its total tells."""
    found = GEMINI.read(usage)
    total = count(usage.get("totalTokenCount"))
    if found is None or found.output_tokens is not None or found.input_tokens is None or total is None:
        return found
    return found._replace(output_tokens=max(total - found.input_tokens, 0))


def _absorb_error(answer: Answer, error: object) -> None:
    if error:
        answer.error_type = text(mapping(error).get("status")) or text(mapping(error).get("code")) or "error"


def absorb_prediction(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what `:predict` of an embedding model says: each embedding has its own count of tokens."""
    predictions = [entry for _, entry in mappings(body.get("predictions"))]
    tokens = added(*(count(member(entry, "embeddings.statistics.token_count")) for entry in predictions))
    if tokens is not None:
        answer.usage = Usage(input_tokens=tokens)
    answer.model = text(body.get("modelVersionId")) or answer.model
    _absorb_error(answer, body.get("error"))
    return False


def absorb_interaction(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what an interaction, or one event of its stream, says."""
    kind = text(body.get("event_type"))
    interaction = mapping(body.get("interaction")) if kind is not None else body
    if answer.id is None:
        answer.id = text(interaction.get("id"))
    answer.model = text(interaction.get("model")) or text(interaction.get("agent")) or answer.model
    status = text(interaction.get("status"))
    if status in ("completed", "incomplete", "failed", "cancelled", "requires_action"):
        answer.finish_reasons[0] = "stop" if status == "completed" else status
    answer.usage = GEMINI_INTERACTIONS.read(mapping(interaction.get("usage"))) or answer.usage
    _absorb_error(answer, body.get("error") or interaction.get("error"))
    return False


_FIELDS = Fields(
    choices=("generationConfig.candidateCount", "request.generationConfig.candidateCount"),
    max_tokens=(
        "generationConfig.maxOutputTokens",
        "generation_config.max_output_tokens",
        "request.generationConfig.maxOutputTokens",
    ),
    model=(),  # it is in the path
)
GENERATE = WireFormat(
    "gemini.generate",
    "gcp.gemini",
    absorb,
    _FIELDS,
    text_keys=("text", "code"),
    news_keys=("finishReason",),
    latest_key="usageMetadata",
)
EMBED = WireFormat("gemini.embed", "gcp.gemini", absorb, _FIELDS, beside_array="usageMetadata")
CODE_ASSIST = WireFormat(
    "gemini.code_assist",
    "gcp.gemini",
    absorb,
    Fields(choices=_FIELDS.choices, max_tokens=_FIELDS.max_tokens),
    text_keys=GENERATE.text_keys,
    news_keys=GENERATE.news_keys,
    latest_key=GENERATE.latest_key,
)
PREDICT = WireFormat("gemini.predict", "gcp.vertex_ai", absorb_prediction, _FIELDS)
INTERACTIONS = WireFormat(
    "gemini.interactions",
    "gcp.gemini",
    absorb_interaction,
    Fields(model=("model", "agent"), max_tokens=("generation_config.max_output_tokens",)),
    text_keys=("text", "arguments"),
    news_keys=("interaction",),
)

_CODE_ASSIST = "/v1internal"
ENDPOINTS = (
    endpoint("generate_content", f"{_CODE_ASSIST}:generateContent", CODE_ASSIST, "request", streams=False),
    endpoint(
        "generate_content", f"{_CODE_ASSIST}:streamGenerateContent", CODE_ASSIST, "request", streams=True
    ),
    endpoint("generate_content", "/{model}:generateContent", GENERATE, "contents", streams=False),
    endpoint("generate_content", "/{model}:streamGenerateContent", GENERATE, "contents", streams=True),
    endpoint("embeddings", "/{model}:embedContent", EMBED, "content", streams=False),
    endpoint(
        "embeddings", "/{model}:batchEmbedContents", EMBED, "requests", streams=False, inputs="requests"
    ),
    endpoint("embeddings", "/{model:embed}:predict", PREDICT, "instances", streams=False, inputs="instances"),
    endpoint("image_generation", "/{model:imagen}:predict", PREDICT, "instances", streams=False),
    endpoint("video_generation", "/{model}:predictLongRunning", PREDICT, "instances", streams=False),
    endpoint("chat", "/interactions", INTERACTIONS, "model", "agent", also=("input",)),
)

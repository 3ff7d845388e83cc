"""Amazon Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.

Converse, of every model:
    input    inputTokens + cacheReadInputTokens + cacheWriteInputTokens      finish reason   stopReason
    output   outputTokens                                                    total time      metrics.latencyMs

InvokeModel has the body of the model's maker, told by its members; where that has no counts, the headers
`x-amzn-bedrock-*` have them, or the `amazon-bedrock-invocationMetrics` of a stream's last event. Id and model
are the maker's, where there are any. Streams are binary (`aws_stream`).
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, ServerTimings, Usage
from fanlight.capture.formats import anthropic, cohere, openai
from fanlight.capture.values import added, count, first_count, mapping, mappings, seconds, text
from fanlight.capture.wire_format import Fields, Header, WireFormat, endpoint

MS = 1e-3
_METRICS = "amazon-bedrock-invocationMetrics"


def absorb_converse(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what an answer of Converse, or one event of its stream, says; Nova's own format is the same."""
    ends = body if "stopReason" in body else mapping(body.get("messageStop"))
    reason = text(ends.get("stopReason"))
    if reason is not None:
        answer.finish_reasons[0] = reason
    ends = body if "usage" in body else mapping(body.get("metadata"))
    usage = read_usage(mapping(ends.get("usage")))
    if usage != Usage():
        answer.usage = usage
    latency_s = seconds(mapping(ends.get("metrics")).get("latencyMs"), MS)
    if latency_s is not None:
        answer.timings = ServerTimings(total_s=latency_s)
    return "usage" in body and "output" not in body


def read_usage(usage: Mapping[str, object]) -> Usage:
    """Tokens from a `usage` object of Converse, or from a stream's metrics, which name them in other ways."""
    read = first_count(usage, "cacheReadInputTokens", "cacheReadInputTokenCount")
    written = first_count(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount")
    fresh = first_count(usage, "inputTokens", "inputTokenCount")
    return Usage(
        None if fresh is None else added(fresh, read, written),
        first_count(usage, "outputTokens", "outputTokenCount"),
        read,
        written,
    )


def absorb_invoke(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what a model's own answer, or one event of its stream, says."""
    _absorb_own(answer, body)
    metrics = body.get(_METRICS)
    if not isinstance(metrics, dict):
        return False
    if answer.usage is None or answer.usage.output_tokens is None:
        answer.usage = read_usage(metrics)
    answer.timings = ServerTimings(
        total_s=seconds(metrics.get("invocationLatency"), MS),
        first_token_s=seconds(metrics.get("firstByteLatency"), MS),
    )
    return True


def _absorb_own(answer: Answer, body: Mapping[str, object]) -> None:
    if "generation" in body or "prompt_token_count" in body:
        _absorb_llama(answer, body)
    elif "results" in body or "outputText" in body or "inputTextTokenCount" in body:
        _absorb_titan(answer, body)
    elif "choices" in body:  # Mistral, AI21, DeepSeek, Qwen, gpt-oss
        openai.absorb(answer, body)
    elif "outputs" in body:
        _absorb_mistral(answer, body)
    elif "stopReason" in body or "messageStop" in body or "metadata" in body:
        absorb_converse(answer, body)
    elif "type" in body or "completion" in body:
        anthropic.absorb(answer, body)
    elif "generations" in body or "finish_reason" in body or "is_finished" in body or "embeddings" in body:
        cohere.absorb(answer, body)


def _absorb_llama(answer: Answer, body: Mapping[str, object]) -> None:
    _put_reason(answer, body.get("stop_reason"))
    usage = Usage(count(body.get("prompt_token_count")), count(body.get("generation_token_count")))
    before = answer.usage or Usage()
    if usage != Usage():
        answer.usage = Usage(
            before.input_tokens if usage.input_tokens is None else usage.input_tokens,
            before.output_tokens if usage.output_tokens is None else usage.output_tokens,
        )


def _absorb_titan(answer: Answer, body: Mapping[str, object]) -> None:
    results = mappings(body.get("results"))
    for place, result in results or [(0, body)]:
        _put_reason(answer, result.get("completionReason"), place)
    counts = [count(result.get("tokenCount")) for _, result in results]
    usage = Usage(
        count(body.get("inputTextTokenCount")), added(count(body.get("totalOutputTextTokenCount")), *counts)
    )
    if usage != Usage():
        answer.usage = usage


def _absorb_mistral(answer: Answer, body: Mapping[str, object]) -> None:
    for place, output in mappings(body.get("outputs")):
        _put_reason(answer, output.get("stop_reason"), place)


def _put_reason(answer: Answer, reason: object, place: int = 0) -> None:
    found = text(reason)
    if found is not None:
        answer.finish_reasons[place] = found


def read_headers(answer: Answer, header: Header) -> None:
    """Tokens, time and error from the headers of an answer."""
    counts = {name: _number(header(f"x-amzn-bedrock-{name}")) for name in _COUNT_HEADERS}
    fresh = counts["input-token-count"]
    read, written = counts["cache-read-input-token-count"], counts["cache-write-input-token-count"]
    usage = Usage(
        None if fresh is None else added(fresh, read, written), counts["output-token-count"], read, written
    )
    if usage != Usage():
        answer.usage = usage
    latency_ms = _number(header("x-amzn-bedrock-invocation-latency"))
    if latency_ms is not None:
        answer.timings = ServerTimings(total_s=latency_ms * MS)
    read_error_header(answer, header)


def read_error_header(answer: Answer, header: Header) -> None:
    """The class of an error, which AWS has in a header only."""
    error = header("x-amzn-errortype")
    if error:
        answer.error_type = error.partition(":")[0]


_COUNT_HEADERS = (
    "input-token-count",
    "output-token-count",
    "cache-read-input-token-count",
    "cache-write-input-token-count",
)


def _number(value: str | None) -> int | None:
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


CONVERSE = WireFormat(
    "bedrock.converse",
    "aws.bedrock",
    absorb_converse,
    Fields(model=(), max_tokens=("inferenceConfig.maxTokens",)),
    text_keys=("text", "input"),
    news_keys=("stopReason", "usage"),
    headers=read_error_header,
)
INVOKE = WireFormat(
    "bedrock.invoke",
    "aws.bedrock",
    absorb_invoke,
    Fields(
        model=(),
        max_tokens=(
            "max_tokens",
            "max_tokens_to_sample",
            "max_gen_len",
            "maxTokens",
            "max_completion_tokens",
            "textGenerationConfig.maxTokenCount",
            "inferenceConfig.max_new_tokens",
            "inferenceConfig.maxTokens",
        ),
    ),
    text_keys=(
        "text",
        "partial_json",
        "outputText",
        "generation",
        "content",
        "thinking",
        "completion",
        "input",
    ),
    news_keys=("stop_reason", "completionReason", "finish_reason", "stopReason", _METRICS),
    headers=read_headers,
)

_EMBED_KEYS = ("inputText", "texts", "inputImage", "images", "inputs")
_BODY_KEYS = ("messages", "prompt", "inputText", "message")
ENDPOINTS = (
    endpoint("chat", "/model/{model}/converse", CONVERSE, "messages", streams=False),
    endpoint("chat", "/model/{model}/converse-stream", CONVERSE, "messages", streams=True),
    endpoint(
        "embeddings", "/model/{model:embed}/invoke", INVOKE, *_EMBED_KEYS, streams=False, inputs="texts"
    ),
    endpoint(
        "rerank", "/model/{model:rerank}/invoke", INVOKE, "documents", streams=False, inputs="documents"
    ),
    endpoint("chat", "/model/{model}/invoke", INVOKE, *_BODY_KEYS, streams=False),
    endpoint("chat", "/model/{model}/invoke-with-response-stream", INVOKE, *_BODY_KEYS, streams=True),
)

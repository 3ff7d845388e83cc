"""Amazon Bedrock: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html.

Converse, of every model:
    tokens       usage, by the rule BEDROCK      finish reason   stopReason
    total time   metrics.latencyMs               error           header x-amzn-errortype

InvokeModel has the body of the model's maker, told by its members; where that has no counts, the headers
`x-amzn-bedrock-*` have them, or the `amazon-bedrock-invocationMetrics` of a stream's last event. Id and model
are the maker's, where there are any. Streams are binary (`aws_stream`).
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, ServerTimings
from fanlight.capture.formats import anthropic, cohere, openai
from fanlight.capture.token_rules import BEDROCK, BEDROCK_HEADERS, LLAMA, TITAN
from fanlight.capture.values import added, count, mapping, mappings, seconds, text, whole_number
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
    answer.usage = BEDROCK.read(mapping(ends.get("usage"))) or answer.usage
    latency_s = seconds(mapping(ends.get("metrics")).get("latencyMs"), MS)
    if latency_s is not None:
        answer.timings = ServerTimings(total_s=latency_s)
    return "usage" in body and "output" not in body


def absorb_invoke(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what a model's own answer, or one event of its stream, says."""
    _absorb_own(answer, body)
    metrics = body.get(_METRICS)
    if not isinstance(metrics, dict):
        return False
    if answer.usage is None or answer.usage.output_tokens is None:
        answer.usage = BEDROCK.read(metrics) or answer.usage
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
    elif "completions" in body:
        _absorb_jurassic(answer, body)
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
    found, before = LLAMA.read(body), answer.usage
    if found is not None and found.input_tokens is None and before is not None:
        found = found._replace(input_tokens=before.input_tokens)
    answer.usage = found or before


def _absorb_titan(answer: Answer, body: Mapping[str, object]) -> None:
    results = mappings(body.get("results"))
    for place, result in results or [(0, body)]:
        _put_reason(answer, result.get("completionReason"), place)
    found = TITAN.read(body)
    if found is not None and results:
        found = found._replace(
            output_tokens=added(*(count(result.get("tokenCount")) for _, result in results))
        )
    answer.usage = found or answer.usage


def _absorb_mistral(answer: Answer, body: Mapping[str, object]) -> None:
    for place, output in mappings(body.get("outputs")):
        _put_reason(answer, output.get("stop_reason"), place)


def _absorb_jurassic(answer: Answer, body: Mapping[str, object]) -> None:
    for place, completion in mappings(body.get("completions")):
        _put_reason(answer, mapping(completion.get("finishReason")).get("reason"), place)


def _put_reason(answer: Answer, reason: object, place: int = 0) -> None:
    found = text(reason)
    if found is not None:
        answer.finish_reasons[place] = found


def read_headers(answer: Answer, header: Header) -> None:
    """Tokens, time and error from the headers of an answer."""
    counts = {name: whole_number(header(f"x-amzn-bedrock-{name}")) for name in _COUNT_HEADERS}
    answer.usage = BEDROCK_HEADERS.read(counts)
    latency_ms = whole_number(header("x-amzn-bedrock-invocation-latency"))
    if latency_ms is not None:
        answer.timings = ServerTimings(total_s=latency_ms * MS)
    read_error_header(answer, header)


def read_error_header(answer: Answer, header: Header) -> None:
    """The class of an error, which AWS has in a header only."""
    error = header("x-amzn-errortype")
    if error:
        answer.error_type = error.partition(":")[0]


_COUNT_HEADERS = tuple(name for names in BEDROCK_HEADERS.input + BEDROCK_HEADERS.output for name in names)


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
    uncounted=('"is_finished":true', '"is_finished": true'),
    headers=read_headers,
)

EMBED = WireFormat(
    "bedrock.embed",
    "aws.bedrock",
    absorb_invoke,
    Fields(model=()),
    headers=read_headers,
    beside_array="inputTextTokenCount",
)

_EMBED_KEYS = ("inputText", "texts", "inputImage", "images", "inputs")
_BODY_KEYS = ("messages", "prompt", "inputText", "message")
ENDPOINTS = (
    endpoint("chat", "/model/{model}/converse", CONVERSE, "messages", streams=False),
    endpoint("chat", "/model/{model}/converse-stream", CONVERSE, "messages", streams=True),
    endpoint("embeddings", "/model/{model:embed}/invoke", EMBED, *_EMBED_KEYS, streams=False, inputs="texts"),
    endpoint(
        "rerank", "/model/{model:rerank}/invoke", INVOKE, "documents", streams=False, inputs="documents"
    ),
    endpoint("chat", "/model/{model}/invoke", INVOKE, *_BODY_KEYS, streams=False),
    endpoint("chat", "/model/{model}/invoke-with-response-stream", INVOKE, *_BODY_KEYS, streams=True),
)

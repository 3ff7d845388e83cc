"""Small answers by hand: Amazon Bedrock."""

from fanlight.capture.answer import ServerTimings, Usage
from wire_examples_anthropic import ANTHROPIC_EVENTS
from wire_shapes import AWS, JSON, TEXTS, Example, answer, aws_chunk, aws_event, aws_message, dump

LATENCY = ServerTimings(total_s=0.25)


METRICS = {"inputTokenCount": 5, "outputTokenCount": 10, "invocationLatency": 250, "firstByteLatency": 125}


METERED = ServerTimings(total_s=0.25, first_token_s=0.125)

EXAMPLES = [
    Example(
        "bedrock converse",
        "/model/amazon.nova-lite-v1%3A0/converse",
        dump(
            {
                "metrics": {"latencyMs": 250},
                "output": {"message": {"role": "assistant", "content": [{"text": "a"}]}},
                "stopReason": "end_turn",
                "usage": {
                    "inputTokens": 3,
                    "outputTokens": 12,
                    "totalTokens": 112,
                    "cacheReadInputTokens": 90,
                    "cacheWriteInputTokens": 7,
                },
            }
        ),
        answer(None, None, Usage(100, 12, 90, 7), "end_turn", timings=LATENCY),
    ),
    Example(
        "bedrock converse, stream",
        "/model/amazon.nova-lite-v1%3A0/converse-stream",
        b"".join(
            (
                aws_event("messageStart", {"role": "assistant", "p": "ab"}),
                *(
                    aws_event(
                        "contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": text}, "p": "a"}
                    )
                    for text in TEXTS
                ),
                aws_event("messageStop", {"stopReason": "max_tokens"}),
                aws_event(
                    "metadata",
                    {"metrics": {"latencyMs": 250}, "usage": {"inputTokens": 8, "outputTokens": 10}},
                ),
            )
        ),
        answer(None, None, Usage(8, 10), "max_tokens", timings=LATENCY),
        AWS,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "bedrock, an exception within the stream",
        "/model/m/converse-stream",
        aws_event("messageStart", {"role": "assistant"})
        + aws_message(
            dump({"message": "slow down"}),
            exception_type="throttlingException",
            content_type=JSON,
            message_type="exception",
        ),
        answer(error="throttlingException"),
        AWS,
    ),
    Example(
        "bedrock invoke of claude, stream",
        "/model/anthropic.claude-v2/invoke-with-response-stream",
        b"".join(
            (
                *(aws_chunk(event) for event in ANTHROPIC_EVENTS[:-1]),
                aws_chunk({"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS}),
            )
        ),
        answer("claude", "msg_1", Usage(100, 12, 90, 7), "end_turn", timings=METERED),
        AWS,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "bedrock invoke of llama, stream",
        "/model/meta.llama3/invoke-with-response-stream",
        b"".join(
            (
                aws_chunk({"generation": TEXTS[0], "prompt_token_count": 5, "generation_token_count": 1}),
                aws_chunk({"generation": TEXTS[1], "prompt_token_count": None, "generation_token_count": 2}),
                aws_chunk(
                    {
                        "generation": TEXTS[2],
                        "generation_token_count": 10,
                        "stop_reason": "length",
                        "amazon-bedrock-invocationMetrics": METRICS,
                    }
                ),
            )
        ),
        answer(None, None, Usage(5, 10), "length", timings=METERED),
        AWS,
        texts=TEXTS,
        ends=True,
    ),
    Example(
        "bedrock invoke of titan",
        "/model/amazon.titan-text-lite-v1/invoke",
        dump(
            {
                "inputTextTokenCount": 5,
                "results": [{"tokenCount": 10, "outputText": "a", "completionReason": "FINISH"}],
            }
        ),
        answer(None, None, Usage(5, 10), "FINISH", timings=LATENCY),
        headers={"x-amzn-bedrock-invocation-latency": "250"},
    ),
    Example(
        "bedrock invoke of mistral, counts in the headers",
        "/model/mistral.mistral-7b/invoke",
        dump({"outputs": [{"text": "a", "stop_reason": "length"}]}),
        answer(None, None, Usage(6, 10, 0, 0), "length"),
        headers={
            "x-amzn-bedrock-input-token-count": "6",
            "x-amzn-bedrock-output-token-count": "10",
            "x-amzn-bedrock-cache-read-input-token-count": "0",
            "x-amzn-bedrock-cache-write-input-token-count": "0",
        },
    ),
    Example(
        "bedrock invoke of cohere",
        "/model/cohere.command-light/invoke",
        dump({"id": "co1", "generations": [{"id": "g", "text": "a", "finish_reason": "MAX_TOKENS"}]}),
        answer(None, "co1", Usage(5, 10), "MAX_TOKENS"),
        headers={"x-amzn-bedrock-input-token-count": "5", "x-amzn-bedrock-output-token-count": "10"},
    ),
    Example(
        "bedrock invoke of nova",
        "/model/amazon.nova-micro/invoke",
        dump({"output": {}, "stopReason": "max_tokens", "usage": {"inputTokens": 5, "outputTokens": 10}}),
        answer(None, None, Usage(5, 10), "max_tokens"),
    ),
    Example(
        "bedrock invoke of deepseek",
        "/model/deepseek.r1/invoke",
        dump({"choices": [{"index": 0, "text": "a", "stop_reason": "length"}]}),
        answer(None, None, None, "length"),
    ),
    Example(
        "bedrock, titan embeddings",
        "/model/amazon.titan-embed-text-v2%3A0/invoke",
        dump({"embedding": [0.5], "inputTextTokenCount": 7}),
        answer(None, None, Usage(7)),
    ),
    Example(
        "bedrock, refused",
        "/model/m/converse",
        dump({"message": "The provided model identifier is invalid."}),
        answer(error="ValidationException"),
        headers={"x-amzn-errortype": "ValidationException:http://internal.amazon.com/"},
    ),
]

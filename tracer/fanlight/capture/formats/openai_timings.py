"""Server timings that some servers add to OpenAI's answers.

Groq        usage.queue_time, prompt_time, completion_time, total_time, in s, the last without the queue
            (https://console.groq.com/docs/api-reference#chat-create)
Cerebras    time_info.queue_time, prompt_time, completion_time, total_time, in s
            (https://inference-docs.cerebras.ai/api-reference/chat-completions)
vLLM        metrics.queue_time_ms, time_to_first_token_ms (from the schedule on: prefill), generation_time_ms
            (https://docs.vllm.ai/en/stable/features/per_request_metrics/)
llama.cpp   timings.prompt_ms, predicted_ms
            (https://github.com/ggml-org/llama.cpp/tree/master/tools/server)
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import ServerTimings
from fanlight.capture.values import mapping, seconds

MS = 1e-3
TIMED = frozenset(("time_info", "metrics", "timings"))  # members of a body that has some
TIMED_USAGE = frozenset(("queue_time", "completion_time"))  # of its usage


def read_timings(body: Mapping[str, object], usage: Mapping[str, object]) -> ServerTimings | None:
    """What one body or event says of the server's time; None if nothing."""
    if not TIMED_USAGE.isdisjoint(usage):
        return _groq(usage)
    if "time_info" in body:
        return _cerebras(mapping(body["time_info"]))
    if "metrics" in body:
        return _vllm(mapping(body["metrics"]))
    return llama_cpp(mapping(body["timings"])) if "timings" in body else None


def _groq(usage: Mapping[str, object]) -> ServerTimings:
    return ServerTimings(
        queue_s=seconds(usage.get("queue_time")),
        prefill_s=seconds(usage.get("prompt_time")),
        decode_s=seconds(usage.get("completion_time")),
        inference_s=seconds(usage.get("total_time")),
    )


def _cerebras(info: Mapping[str, object]) -> ServerTimings:
    return ServerTimings(
        queue_s=seconds(info.get("queue_time")),
        prefill_s=seconds(info.get("prompt_time")),
        decode_s=seconds(info.get("completion_time")),
        total_s=seconds(info.get("total_time")),
    )


def _vllm(metrics: Mapping[str, object]) -> ServerTimings:
    return ServerTimings(
        queue_s=seconds(metrics.get("queue_time_ms"), MS),
        prefill_s=seconds(metrics.get("time_to_first_token_ms"), MS),
        decode_s=seconds(metrics.get("generation_time_ms"), MS),
    )


def llama_cpp(timings: Mapping[str, object]) -> ServerTimings:
    """The `timings` of llama.cpp's server."""
    return ServerTimings(
        prefill_s=seconds(timings.get("prompt_ms"), MS),
        decode_s=seconds(timings.get("predicted_ms"), MS),
    )

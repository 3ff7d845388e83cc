"""The own APIs of serving engines, beside the OpenAI format that they speak too.

TGI (https://huggingface.github.io/text-generation-inference) and TEI (embeddings) have counts and times in
headers, TGI's streams in `details`. SGLang (https://docs.sglang.ai, "Native APIs") has `meta_info`, in every
event of a stream, together with all the text so far. llama.cpp (its server's README) has `timings`.
"""

from __future__ import annotations

from collections.abc import Mapping

from fanlight.capture.answer import Answer, ServerTimings, Usage
from fanlight.capture.formats.openai import absorb_error
from fanlight.capture.formats.openai_timings import MS, llama_cpp
from fanlight.capture.token_rules import LLAMA_CPP, ONLY_TOTAL, SGLANG, TGI
from fanlight.capture.values import count, mapping, seconds, text, whole_number
from fanlight.capture.wire_format import Fields, Header, WireFormat, endpoint


def absorb_generated(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what an answer of `/generate`, TGI's or SGLang's, or one event of its stream, says."""
    if "meta_info" in body:
        _absorb_sglang(answer, mapping(body["meta_info"]))
    else:
        _absorb_tgi(answer, body)
    if body.get("error"):
        absorb_error(answer, body["error"])
        answer.error_type = text(body.get("error_type")) or answer.error_type
    return False


def _absorb_tgi(answer: Answer, body: Mapping[str, object]) -> None:
    details = mapping(body.get("details"))
    reason = text(details.get("finish_reason"))
    if reason is not None:
        answer.finish_reasons[0] = reason
    output_tokens = count(details.get("generated_tokens"))
    if output_tokens is not None:
        before = answer.usage or Usage()
        prefill = details.get("prefill")
        known = count(details.get("input_length")) or (len(prefill) if isinstance(prefill, list) else 0)
        answer.usage = Usage(known or before.input_tokens, output_tokens)


def absorb_embedded(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what an answer of `/embed` says beside its numbers; Pinecone's has counts, TEI's none."""
    answer.model = text(body.get("model")) or answer.model
    answer.usage = ONLY_TOTAL.read(mapping(body.get("usage"))) or answer.usage
    return absorb_generated(answer, body)


def read_tgi_headers(answer: Answer, header: Header) -> None:
    """Tokens and ms from TGI's headers; TEI's are named in part alike."""
    answer.usage = TGI.read({name: whole_number(header(name)) for name in _COUNT_HEADERS})
    timings = ServerTimings(
        queue_s=_ms(header("x-queue-time")),
        inference_s=_ms(header("x-inference-time")),
        total_s=_ms(header("x-total-time")),
    )
    if timings != ServerTimings():
        answer.timings = timings


_COUNT_HEADERS = tuple(name for names in TGI.input + TGI.output for name in names)


def _ms(value: str | None) -> float | None:
    number = whole_number(value)
    return None if number is None else number * MS


def _absorb_sglang(answer: Answer, meta: Mapping[str, object]) -> None:
    answer.id = text(meta.get("id")) or answer.id
    reason = meta.get("finish_reason")
    said = text(reason.get("type")) if isinstance(reason, dict) else text(reason)
    if said is not None:
        answer.finish_reasons[0] = said
    answer.usage = SGLANG.read(meta) or answer.usage
    latency_s = seconds(meta.get("e2e_latency"))
    if latency_s is not None:
        answer.timings = ServerTimings(total_s=latency_s)


def absorb_llama_cpp(answer: Answer, body: Mapping[str, object]) -> bool:
    """Take what llama.cpp's own `/completion`, or one event of its stream, says."""
    answer.model = text(body.get("model")) or answer.model
    reason = text(body.get("stop_type"))
    if reason not in (None, "none"):
        answer.finish_reasons[0] = str(reason)
    timings = mapping(body.get("timings"))
    if timings:
        answer.timings = llama_cpp(timings)
    if body.get("stop") is True:
        answer.usage = LLAMA_CPP.read(body)
    absorb_error(answer, body.get("error"))
    return body.get("stop") is True


GENERATE = WireFormat(
    "generate",
    "huggingface",
    absorb_generated,
    Fields(
        max_tokens=("parameters.max_new_tokens", "sampling_params.max_new_tokens"),
        choices=("sampling_params.n",),
    ),
    text_keys=("text",),
    news_keys=("generated_text", "details"),
    latest_key="meta_info",
    headers=read_tgi_headers,
)
EMBED = WireFormat(
    "tei", "huggingface", absorb_embedded, Fields(), headers=read_tgi_headers, beside_array="error"
)
COMPLETION = WireFormat(
    "llama.cpp",
    "llama.cpp",
    absorb_llama_cpp,
    Fields(max_tokens=("n_predict",)),
    text_keys=("content",),
    news_keys=("stop",),
)

ENDPOINTS = (
    endpoint("text_completion", "/generate", GENERATE, "inputs", "sampling_params"),
    endpoint("text_completion", "/generate_stream", GENERATE, "inputs", streams=True),
    endpoint("embeddings", "/embed", EMBED, "inputs", inputs="inputs"),
    endpoint("text_completion", "/models/{owner/model}", GENERATE, "inputs"),
    endpoint(
        "embeddings", "/models/{owner/model}/pipeline/feature-extraction", EMBED, "inputs", inputs="inputs"
    ),
    endpoint("text_completion", "/completion", COMPLETION, "prompt"),
    endpoint("text_completion", "/infill", COMPLETION, "input_prefix", also=("input_suffix",)),
)

"""A program whose calls are easy to count twice, or not at all: `counted_once.py URL`.

It looks at a background response until its tokens are there and once more, reads a batch's results twice, and
calls an SDK that has spans of its own, with a retry, and litellm, which has some too.
"""

import os
import sys
import time

from anthropic import Anthropic
from openai import OpenAI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import fanlight

MESSAGE = {"role": "user", "content": "one two three"}
base_url = sys.argv[1]
kept = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
fanlight.instrument()

with OpenAI(base_url=f"{base_url}/v1", api_key="k") as client:
    with fanlight.action("background", user="u-1"):
        response = client.responses.create(model="m", input="one two three", background=True)
        fanlight.flush()
        while client.responses.retrieve(response.id).status != "completed":
            time.sleep(0.01)
    client.responses.retrieve(response.id)
    job = client.batches.create(
        input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
    )
    for reader in ("first", "second"):
        with fanlight.action(reader, user="u-1"):
            done = client.batches.retrieve(job.id)
            for results in (done.output_file_id, done.error_file_id):
                assert results is not None
                assert client.files.content(results).text

with Anthropic(base_url=base_url, api_key="k") as traced, fanlight.action("traced", user="u-1"):
    traced.messages.create(model="m", max_tokens=9, messages=[MESSAGE])  # type: ignore[list-item]

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else its import asks a server for prices
import litellm  # noqa: E402

litellm.callbacks = ["otel"]
litellm.completion(model="anthropic/lite", api_base=base_url, api_key="k", messages=[MESSAGE])
wanted = time.monotonic() + 20
while "litellm_request" not in [span.name for span in kept.get_finished_spans()]:
    assert time.monotonic() < wanted, "litellm says nothing of itself any more"
    time.sleep(0.05)
assert fanlight.flush()

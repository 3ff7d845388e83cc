"""The attribute names that fanlight writes and reads, each declared once.

`gen_ai.*` is from the OpenTelemetry semantic-conventions-genai repository, v0.1.0
(https://github.com/open-telemetry/semantic-conventions-genai); `user.*`, `session.*`, `http.*`, `server.*`
and `error.*` from https://opentelemetry.io/docs/specs/semconv/; `fanlight.*` is ours. The names that other
tracers use for the same things are in `fanlight_schema.dialects`.
"""

from typing import Final, Literal, TypeAlias

Origin: TypeAlias = Literal["user", "schedule", "agent", "system"]
Workload: TypeAlias = Literal["serving", "rl_rollout", "eval", "batch", "training"]
ActionSource: TypeAlias = Literal["declared", "automatic", "inferred"]
SpanRole: TypeAlias = Literal["action", "agent", "tool", "call", "request"]
RequestOutcome: TypeAlias = Literal["answered", "refused", "unknown"]
UsageSource: TypeAlias = Literal["reported", "counted", "estimated"]

# On every span of a cascade, so that no row has to wait for another.
ACTION_ID: Final = "fanlight.action.id"  # 32 hex digits; the trace id where the action starts the trace
ACTION_NAME: Final = "fanlight.action.name"
ACTION_ORIGIN: Final = "fanlight.action.origin"  # Origin
ACTION_SOURCE: Final = "fanlight.action.source"  # ActionSource
WORKLOAD: Final = "fanlight.workload"  # Workload
USER_ID: Final = "user.id"
SESSION_ID: Final = "session.id"
HOP: Final = "fanlight.hop"  # int; steps above this span in its action; 0 at the root

ROLE: Final = "fanlight.role"  # SpanRole: what a span of fanlight's is; `wrapper`: of a layer above one
PARENT_REMOTE: Final = "fanlight.parent.remote"  # true: the parent is a span of another process
DROPPED_SPANS: Final = "fanlight.dropped_spans"  # int; lost so far: of this action; on resources, all
PARENT_ACTION_ID: Final = "fanlight.action.parent_id"  # on a root span begun inside another action

# Agents and tools.
OPERATION_NAME: Final = "gen_ai.operation.name"
AGENT_NAME: Final = "gen_ai.agent.name"
TOOL_NAME: Final = "gen_ai.tool.name"
OPERATION_INVOKE_AGENT: Final = "invoke_agent"
OPERATION_EXECUTE_TOOL: Final = "execute_tool"

# Model calls and requests.
PROVIDER_NAME: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_CHOICES: Final = "gen_ai.request.choice.count"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK_S: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"  # cached ones included
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"  # reasoning included
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
HTTP_STATUS_CODE: Final = "http.response.status_code"
HTTP_ROUTE: Final = "http.route"  # of an automatic action: the template, never the path
RESEND_COUNT: Final = "http.request.resend_count"
ERROR_TYPE: Final = "error.type"

# What was said: only where the app opted in.
INPUT_MESSAGES: Final = "gen_ai.input.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
CONTENT: Final = frozenset((INPUT_MESSAGES, SYSTEM_INSTRUCTIONS, OUTPUT_MESSAGES))

WIRE: Final = "fanlight.wire"  # true: requests are observed, so none seen means none was sent
REQUESTS: Final = "fanlight.requests"  # int; physical requests that a call took
REQUEST_OUTCOME: Final = "fanlight.request.outcome"  # RequestOutcome; on calls that took one request too
GATEWAY_CACHE_HIT: Final = "fanlight.gateway.cache_hit"  # true: from a gateway's cache, no GPU worked
USAGE_SOURCE: Final = "fanlight.usage.source"  # UsageSource
INPUTS: Final = "fanlight.inputs"  # int; sequences in one embeddings request
CHUNKS: Final = "fanlight.stream.chunks"  # int; stream events that carried content
STREAM_END: Final = "fanlight.stream.end"  # completed | closed | cut | cancelled | abandoned | error
STREAM_CONSUMER_WAIT_S: Final = "fanlight.stream.consumer_wait"  # float; seconds
PROVIDER_ERROR: Final = "fanlight.request.error"  # what the provider calls the error of a refused request

# Where the server says that a request's time went, in seconds; only what it says. No convention has these on
# the client's span (semantic-conventions-genai, issues 87 and 408).
SERVER_QUEUE_S: Final = "fanlight.server.queue"  # before any work
SERVER_LOAD_S: Final = "fanlight.server.load"  # of the model into memory
SERVER_PREFILL_S: Final = "fanlight.server.prefill"  # over the input
SERVER_DECODE_S: Final = "fanlight.server.decode"  # over the output
SERVER_INFERENCE_S: Final = "fanlight.server.inference"  # prefill and decode together
SERVER_FIRST_TOKEN_S: Final = "fanlight.server.first_token"  # from arrival to the first token
SERVER_TOTAL_S: Final = "fanlight.server.total"

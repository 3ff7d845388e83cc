"""The tracer's settings, each declared once, and the one place of the tracer that reads the environment.

Where OpenTelemetry has a variable, that one is honoured and there is no second. A value that cannot be used
is reported in the log with what to do, and the default stands: a tracer never stops the app's start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar
from urllib.parse import unquote, urlsplit

from fanlight._guard import logger
from fanlight._own_hosts import OwnHost, own_host
from fanlight._secrets import without_secrets
from fanlight_schema import attributes as names
from fanlight_schema.spool import default_folder, locks

Protocol: TypeAlias = Literal["http/protobuf", "grpc"]
Trust: TypeAlias = Literal["direct", "always", "never"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Option:
    """One setting: where it comes from, what it is without it, and what it does."""

    name: str
    env: tuple[str, ...]  # the first one that is set counts
    default: str
    unit: str
    sentence: str


OPTIONS: Final = (
    Option(
        "traces_url",
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        "http://127.0.0.1:4318",
        "URL",
        "Where spans are sent; /v1/traces is added to the second of the two.",
    ),
    Option(
        "protocol",
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        "http/protobuf",
        "http/protobuf|grpc",
        "How spans are sent; grpc needs fanlight[grpc].",
    ),
    Option(
        "headers",
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"),
        "",
        "key=value,...",
        "Headers of every export request, for example an authorization token.",
    ),
    Option(
        "timeout_s",
        ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"),
        "10",
        "s",
        "How long one export request may take.",
    ),
    Option(
        "compression",
        ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"),
        "gzip",
        "gzip|none",
        "How export requests are compressed.",
    ),
    Option(
        "certificate",
        ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        "",
        "file",
        "The certificate authority to trust, instead of the system's.",
    ),
    Option(
        "client_key",
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"),
        "",
        "file",
        "The private key of the client certificate.",
    ),
    Option(
        "client_certificate",
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
        "",
        "file",
        "The certificate that the client shows.",
    ),
    Option(
        "export_interval_ms",
        ("OTEL_BSP_SCHEDULE_DELAY",),
        "1000",
        "ms",
        "How long an ended span waits for others at most.",
    ),
    Option(
        "exporter",
        ("OTEL_TRACES_EXPORTER",),
        "otlp",
        "otlp|none",
        "With none, spans are recorded for the app's own provider only.",
    ),
    Option("disabled", ("OTEL_SDK_DISABLED",), "false", "true|false", "Switches fanlight off altogether."),
    Option("service_name", ("OTEL_SERVICE_NAME",), "unknown_service", "", "The service.name of all spans."),
    Option(
        "resource_attributes",
        ("OTEL_RESOURCE_ATTRIBUTES",),
        "",
        "key=value,...",
        "Further attributes of the process, on all spans.",
    ),
    Option(
        "queue_limit_bytes",
        ("FANLIGHT_QUEUE_LIMIT_BYTES",),
        str(64 * 2**20),
        "bytes",
        "Memory for undelivered spans; beyond it they are left to the spool, or dropped and counted.",
    ),
    Option(
        "spool",
        ("FANLIGHT_SPOOL",),
        "true",
        "true|false",
        "Keeps on disk what a killed process could not deliver, until another one does; never content.",
    ),
    Option(
        "spool_folder",
        ("FANLIGHT_SPOOL_DIR",),
        "",
        "folder",
        "Where the spool is, on a local disk, for this user alone; /var/tmp/fanlight-UID without it.",
    ),
    Option(
        "spool_limit_bytes",
        ("FANLIGHT_SPOOL_LIMIT_BYTES",),
        str(256 * 2**20),
        "bytes",
        "What all files of the spool may take; beyond it spans are in memory only.",
    ),
    Option(
        "shutdown_timeout_s",
        ("FANLIGHT_SHUTDOWN_TIMEOUT_S",),
        "2",
        "s",
        "How long the exit of a process may wait for the last spans.",
    ),
    Option(
        "error_messages",
        ("FANLIGHT_ERROR_MESSAGES",),
        "false",
        "true|false",
        "Keeps the messages of exceptions, which may quote prompts; their types are always kept.",
    ),
    Option(
        "content",
        ("FANLIGHT_CONTENT",),
        "",
        "attribute,...",
        "Keeps what was said, of these: gen_ai.input.messages, gen_ai.system_instructions,"
        " gen_ai.output.messages. Without it no text leaves the process.",
    ),
    Option(
        "content_limit_chars",
        ("FANLIGHT_CONTENT_LIMIT_CHARS",),
        "8192",
        "characters",
        "How much text one such attribute keeps, in at most 64 KiB of JSON; what is cut says so.",
    ),
    Option(
        "include_usage",
        ("FANLIGHT_INCLUDE_USAGE",),
        "",
        "known, host[:port],...",
        "Asks these hosts for the usage of streamed chats and completions that the openai SDK sends"
        " (`stream_options.include_usage`), where the app says nothing of `stream_options`; the last chunk,"
        " usage without choices, is kept from the app. known: OpenAI, DeepSeek, Groq, DashScope. Raw"
        " responses and other SDKs are left as they are; without it no request is changed.",
    ),
    Option(
        "app_spans",
        ("FANLIGHT_APP_SPANS",),
        "true",
        "true|false",
        "Sends the other spans of the app's own OpenTelemetry provider to the collector as well.",
    ),
    Option(
        "subprocesses",
        ("FANLIGHT_SUBPROCESSES",),
        "true",
        "true|false",
        "Traces the Python programs and the multiprocessing workers that this process starts, too.",
    ),
    Option(
        "user_header",
        ("FANLIGHT_USER_HEADER",),
        "",
        "header",
        "The header of a web request that says who its user is; set it only where clients cannot write it.",
    ),
    Option(
        "session_header",
        ("FANLIGHT_SESSION_HEADER",),
        "",
        "header",
        "The header of a web request that says which session it belongs to.",
    ),
    Option(
        "trust_headers",
        ("FANLIGHT_TRUST_HEADERS",),
        "direct",
        "direct|always|never",
        "Whose traceparent and baggage a web request goes on with. direct: private and loopback addresses "
        "that no proxy speaks for; always: everyone's, where clients cannot write them; never: nobody's.",
    ),
    Option(
        "own_hosts",
        ("FANLIGHT_PROPAGATE_TO",),
        "",
        "host[:port],...",
        "HTTP services of your own that get the action with a request (`*.internal`: all below a domain).",
    ),
    Option(
        "raise_errors",
        ("FANLIGHT_TESTING",),
        "false",
        "true|false",
        "Lets the tracer's own errors through; for tests of fanlight.",
    ),
)
# OpenTelemetry, "Environment Variables as Carriers".
INHERITED: Final = ("TRACEPARENT", "TRACESTATE", "BAGGAGE")
_BY_NAME: Final = {option.name: option for option in OPTIONS}


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of this process; times in seconds unless the name says otherwise."""

    traces_url: str
    protocol: Protocol
    headers: Mapping[str, str] = field(repr=False)  # tokens
    timeout_s: float
    gzip: bool
    certificate: str | None
    client_key: str | None
    client_certificate: str | None
    export_interval_s: float
    exports: bool
    disabled: bool
    resource: Mapping[str, str]
    queue_limit_bytes: int
    spool_folder: Path | None  # None: no spool
    spool_limit_bytes: int
    shutdown_timeout_s: float
    error_messages: bool
    content: frozenset[str]
    content_limit_chars: int
    include_usage: tuple[OwnHost, ...]
    app_spans: bool
    subprocesses: bool
    user_header: str | None
    session_header: str | None
    trust_headers: Trust
    own_hosts: tuple[OwnHost, ...]
    raise_errors: bool
    inherited: Mapping[str, str]  # what the process that started this one said of itself


def read_config(environ: Mapping[str, str] | None = None) -> Config:
    """The settings that the environment gives; unusable values are reported and replaced by the default."""
    env = os.environ if environ is None else environ
    protocols: Mapping[str, Protocol] = {"http/protobuf": "http/protobuf", "grpc": "grpc"}
    protocol = _choice(env, "protocol", protocols)
    trusts: Mapping[str, Trust] = {"direct": "direct", "always": "always", "never": "never"}
    return Config(
        traces_url=_grpc_url(env) if protocol == "grpc" else _traces_url(env),
        protocol=protocol,
        headers=_pairs(_text(env, "headers"), "headers", lower_keys=True),
        timeout_s=_number(env, "timeout_s", least=0.001),
        gzip=_choice(env, "compression", {"gzip": True, "deflate": True, "none": False}),
        certificate=_text(env, "certificate") or None,
        client_key=_text(env, "client_key") or None,
        client_certificate=_text(env, "client_certificate") or None,
        export_interval_s=_number(env, "export_interval_ms", least=1) / 1000,
        exports=_text(env, "exporter").lower() != "none",
        disabled=_flag(env, "disabled"),
        resource=_resource(env),
        queue_limit_bytes=int(_number(env, "queue_limit_bytes", least=1)),
        spool_folder=_spool_folder(env),
        spool_limit_bytes=int(_number(env, "spool_limit_bytes", least=0)),
        shutdown_timeout_s=_number(env, "shutdown_timeout_s", least=0),
        error_messages=_flag(env, "error_messages"),
        content=_content(env),
        content_limit_chars=int(_number(env, "content_limit_chars", least=1)),
        include_usage=usage_hosts(_text(env, "include_usage")),
        app_spans=_flag(env, "app_spans"),
        subprocesses=_flag(env, "subprocesses"),
        user_header=_text(env, "user_header") or None,
        session_header=_text(env, "session_header") or None,
        trust_headers=_choice(env, "trust_headers", trusts),
        own_hosts=_hosts(_text(env, "own_hosts"), "own_hosts"),
        raise_errors=_flag(env, "raise_errors"),
        inherited={name: env[name] for name in INHERITED if env.get(name)},
    )


def _source(env: Mapping[str, str], name: str) -> tuple[str, str]:
    """The variable that gives an option and its value; the first variable and the default if none is set."""
    option = _BY_NAME[name]
    for variable in option.env:
        value = env.get(variable, "").strip()
        if value:
            return variable, value
    return option.env[0], option.default


def _text(env: Mapping[str, str], name: str) -> str:
    return _source(env, name)[1]


def _refuse(name: str, variable: str, value: str, hint: str) -> None:
    logger.warning(
        "%s is %r: %s; going on with %s",
        variable,
        without_secrets(value),
        hint,
        _BY_NAME[name].default or "none",
    )


def _traces_url(env: Mapping[str, str]) -> str:
    variable, value = _source(env, "traces_url")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        _refuse("traces_url", variable, value, "give a URL, for example http://127.0.0.1:4318")
        variable, value = "", _BY_NAME["traces_url"].default
    if variable == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" and env.get(variable):
        return value
    return f"{value.rstrip('/')}/v1/traces"


def _grpc_url(env: Mapping[str, str]) -> str:
    """gRPC takes a host and a port, with or without a scheme, and no path."""
    value = next(filter(None, (env.get(name, "").strip() for name in _BY_NAME["traces_url"].env)), "")
    return value if "//" in value else f"http://{value or '127.0.0.1:4317'}"


def _number(env: Mapping[str, str], name: str, *, least: float) -> float:
    variable, value = _source(env, name)
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if least <= number < 2**63:
        return number
    _refuse(name, variable, value, f"give a number of {_BY_NAME[name].unit}, at least {least:g}")
    return float(_BY_NAME[name].default)


def _choice(env: Mapping[str, str], name: str, choices: Mapping[str, T]) -> T:
    variable, value = _source(env, name)
    if value.lower() in choices:
        return choices[value.lower()]
    _refuse(name, variable, value, f"give one of {', '.join(choices)}")
    return choices[_BY_NAME[name].default]


def _content(env: Mapping[str, str]) -> frozenset[str]:
    variable, value = _source(env, "content")
    named = {part.strip() for part in value.split(",")} - {""}
    if unknown := named - names.CONTENT:
        _refuse(
            "content", variable, ",".join(sorted(unknown)), f"give some of {', '.join(sorted(names.CONTENT))}"
        )
    return frozenset(named & names.CONTENT)


def _flag(env: Mapping[str, str], name: str) -> bool:
    return _choice(env, name, {"true": True, "1": True, "false": False, "0": False})


def _spool_folder(env: Mapping[str, str]) -> Path | None:
    if not _flag(env, "spool") or not locks():
        return None
    named = _text(env, "spool_folder")
    return Path(named).absolute() if named else default_folder()


# Whose documentation has `stream_options.include_usage`: platform.openai.com/docs/api-reference/chat/create,
# api-docs.deepseek.com/api/create-chat-completion, console.groq.com/docs/api-reference,
# alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope.
_TAKES_INCLUDE_USAGE: Final = (
    "api.openai.com,api.deepseek.com,api.groq.com,dashscope.aliyuncs.com,dashscope-intl.aliyuncs.com"
)


def usage_hosts(value: str) -> tuple[OwnHost, ...]:
    """Hosts as FANLIGHT_INCLUDE_USAGE names them."""
    named = (_TAKES_INCLUDE_USAGE if part.strip() == "known" else part for part in value.split(","))
    return _hosts(",".join(named), "include_usage")


def _hosts(value: str, name: str) -> tuple[OwnHost, ...]:
    variable = _BY_NAME[name].env[0]
    hosts = []
    for part in filter(None, (part.strip() for part in value.split(","))):
        host = own_host(part)
        if host is None:
            logger.warning(
                "%s holds %r, which is no host; give names such as tools.internal:8080 or *.internal, it is"
                " left out",
                variable,
                part,
            )
        else:
            hosts.append(host)
    return tuple(hosts)


def _pairs(text: str, name: str, *, lower_keys: bool = False) -> dict[str, str]:
    """`key=value,key2=value2`, values percent-encoded, as OpenTelemetry's variables are written."""
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, found, value = part.partition("=")
        if not found or not key.strip():
            # Not the part itself: it may be half of a token.
            logger.warning("a part of %s is no key=value pair and is left out", _BY_NAME[name].env[-1])
            continue
        pairs[key.strip().lower() if lower_keys else key.strip()] = unquote(value.strip())
    return pairs


def _resource(env: Mapping[str, str]) -> dict[str, str]:
    attributes = _pairs(_text(env, "resource_attributes"), "resource_attributes")
    named = env.get("OTEL_SERVICE_NAME", "").strip()
    if named or "service.name" not in attributes:
        attributes["service.name"] = named or _BY_NAME["service_name"].default
    return attributes

"""Switching the tracer on and off."""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Callable
from typing import TypeVar

from opentelemetry import trace

from fanlight import _finalisers, _guard
from fanlight._adopt import adopter
from fanlight._config import Config, read_config, usage_hosts
from fanlight._entries import Person
from fanlight._exits import ExitHook
from fanlight._export import ExportSink
from fanlight._guard import guard, guarded
from fanlight._inheritance import continue_action, forget_inheritance
from fanlight._otlp import encode_resource, encode_scope
from fanlight._provider import provider_resource, use_provider
from fanlight._runtime import runtime
from fanlight._sender import make_sender
from fanlight._spool import Spool
from fanlight.capture.content import ContentPolicy, Redact
from fanlight_schema.spool import Head, frame_head, target_of

T = TypeVar("T")

_lock = threading.RLock()
_exit_hook: ExitHook | None = None


@guarded
def instrument(
    tracer_provider: trace.TracerProvider | None = None,
    export: bool = True,
    *,
    user: Person | None = None,
    session: Person | None = None,
    redact: Redact | None = None,
    include_usage: str | None = None,
) -> None:
    """Trace every supported client of this process, those imported later included.

    Actions begin by themselves where a web framework, a task queue or a scheduler calls the app.

    Spans go to the collector that OpenTelemetry's variables name (OTEL_EXPORTER_OTLP_ENDPOINT, by default
    http://127.0.0.1:4318), unless `export` is False. `tracer_provider`, else the process's global one, gets
    them too, as its sampler chooses, and its other spans go to the collector as well.

    `user` and `session` say who a web request is for: the name of a header, or a plain function that gets the
    ASGI scope or the WSGI environ and gives text or None. It is called only for requests that become actions,
    and one that raises leaves the user unknown. `redact` sees each text that FANLIGHT_CONTENT keeps and gives
    what may stay of it, or None. `include_usage` stands for FANLIGHT_INCLUDE_USAGE, for example
    "known,llm.internal:8000". Calling it again changes nothing but user and session. Never raises.
    """
    with _lock:
        start(tracer_provider, export, redact, include_usage)
        runtime.user, runtime.session = user or runtime.user, session or runtime.session
        if runtime.on:
            from fanlight import patches

            patches.install_all()


@guarded
def uninstrument() -> None:
    """Take every hook out again and stop exporting; what is queued is delivered first."""
    with _lock:
        with guard("instrument.uninstall"):
            from fanlight import patches

            patches.uninstall_all()
        shutdown()
        forget_inheritance()


def wrap(client: T) -> T:
    """The same client, traced; for one client instead of `instrument()`."""
    with guard("instrument.wrap"):
        with _lock:
            start()
        if runtime.on:
            from fanlight import patches

            patches.wrap_client(client)
    return client


@guarded
def start(
    tracer_provider: trace.TracerProvider | None = None,
    export: bool = True,
    redact: Redact | None = None,
    include_usage: str | None = None,
) -> None:
    """Switch spans on without patching anything; nothing happens where they are on."""
    if runtime.on:
        if tracer_provider is not None and runtime.follow_global:  # switched on by wrap() or an import before
            _use_provider(tracer_provider)
        return
    config = read_config()
    if config.raise_errors:
        _guard.raise_errors(True)
    if config.disabled:
        return
    runtime.error_messages = config.error_messages
    runtime.subprocesses = config.subprocesses
    runtime.own_hosts = config.own_hosts
    runtime.include_usage = config.include_usage if include_usage is None else usage_hosts(include_usage)
    if config.content:
        runtime.content = ContentPolicy(config.content, config.content_limit_chars, redact)
    runtime.app_spans = config.app_spans
    runtime.user, runtime.session = config.user_header, config.session_header
    runtime.trust_headers = config.trust_headers
    continue_action(config.inherited)
    if export and config.exports:
        _start_export(config)
    if tracer_provider is not None:
        _use_provider(tracer_provider)
    _finalisers.watch()
    runtime.on = True


@guarded
def _use_provider(provider: trace.TracerProvider) -> None:
    runtime.follow_global = False
    use_provider(provider)


def _start_export(config: Config) -> None:
    global _exit_hook
    runtime.export_url = config.traces_url
    runtime.shutdown_timeout_s = config.shutdown_timeout_s
    runtime.sink = ExportSink(
        lambda: make_sender(config),
        _resource(config),
        (runtime.scope_name, runtime.version),
        url=config.traces_url,
        queue_limit_bytes=config.queue_limit_bytes,
        interval_s=config.export_interval_s,
        timeout_s=config.timeout_s,
        spool=_spool(config),
        adopt=None if config.spool_folder is None else adopter(config.spool_folder, config.traces_url),
    )
    if _exit_hook is None:
        _exit_hook = ExitHook(_shutdown_at_exit)


def _spool(config: Config) -> Spool | None:
    if config.spool_folder is None:
        return None
    target, describe = target_of(config.traces_url), _resource(config)

    def head() -> bytes:
        resource = encode_resource(describe())
        return frame_head(Head(target, resource, encode_scope(runtime.scope_name, runtime.version)))

    return Spool(config.spool_folder, config.spool_limit_bytes, head)


def _resource(config: Config) -> Callable[[], dict[str, object]]:
    """Says what process this is: the app's own resource where it has a provider, else the environment's."""

    def describe() -> dict[str, object]:
        own: dict[str, object] = {
            "telemetry.sdk.name": "fanlight",
            "telemetry.sdk.language": "python",
            "telemetry.sdk.version": runtime.version,
            "process.runtime.version": platform.python_version(),
            "process.pid": os.getpid(),
            "host.name": platform.node(),
        }
        return {**own, **config.resource, **provider_resource()}

    return describe


def flush(timeout_s: float = 5) -> bool:
    """Deliver the spans that have ended, within `timeout_s`; True if none is left behind.

    Blocks the calling thread (in async code: `await asyncio.to_thread(fanlight.flush)`).
    """
    _finalisers.catch_up()
    with guard("instrument.flush"):
        return runtime.sink is None or runtime.sink.flush(timeout_s)
    return False


def _end_open_calls() -> None:
    patches = sys.modules.get("fanlight.patches")  # not imported just to be told that no call is open
    if patches is not None and runtime.on:
        with guard("instrument.open_calls"):
            patches.end_open_calls()


def shutdown(timeout_s: float | None = None) -> bool:
    """Deliver the spans that have ended and switch spans off; by default within FANLIGHT_SHUTDOWN_TIMEOUT_S.

    Runs by itself when the process exits normally. True if nothing is left behind.
    """
    return _shutdown(timeout_s, ending=False)


def _shutdown_at_exit() -> None:
    _shutdown(None, ending=True)


def _shutdown(timeout_s: float | None, *, ending: bool) -> bool:
    _finalisers.catch_up()
    _end_open_calls()
    with _lock:
        sink, limit_s = runtime.sink, runtime.shutdown_timeout_s
        runtime.reset()
        _finalisers.unwatch()
    with guard("instrument.shutdown"):
        return sink is None or sink.shutdown(limit_s if timeout_s is None else timeout_s, ending=ending)
    return False

"""The app's tracer provider: which one it is, and whether it already exports to where fanlight would.

fanlight never sets the process's global provider: the app may want to set its own later, and OpenTelemetry
lets that happen once. One that is set after `instrument()` is found all the same.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from opentelemetry import trace

from fanlight._guard import guard
from fanlight._runtime import runtime

_GLOBAL = "_TRACER_PROVIDER"


def app_tracer() -> trace.Tracer | None:
    """The tracer of the provider given to `instrument()`, else of the global one, else None."""
    # Where none is set, OpenTelemetry would look into the environment each time that it is asked.
    if runtime.tracer is None and runtime.follow_global and getattr(trace, _GLOBAL, trace) is not None:
        with guard("provider.follow"):
            provider = trace.get_tracer_provider()
            if not isinstance(provider, trace.ProxyTracerProvider):
                use_provider(provider)
    return runtime.tracer


def use_provider(provider: trace.TracerProvider) -> None:
    runtime.provider = provider
    runtime.tracer = provider.get_tracer(runtime.scope_name, runtime.version)
    if runtime.app_spans and runtime.sink is not None and hasattr(provider, "add_span_processor"):
        with guard("provider.app_spans"):
            from fanlight._app_spans import follow

            follow(provider)


def provider_resource() -> dict[str, object]:
    """The resource attributes of the app's provider; empty if it has none."""
    resource = getattr(runtime.provider, "resource", None)
    return dict(getattr(resource, "attributes", {}))


def app_exports_here() -> bool:
    """Whether a processor of the app's provider exports to fanlight's own endpoint.

    OpenTelemetry has no public way to ask, so the SDK's processors are looked at; the tuple that holds them
    is a new one whenever one is added, which makes the answer cheap to keep.
    """
    processors = getattr(getattr(runtime.provider, "_active_span_processor", None), "_span_processors", None)
    if processors is None or runtime.export_url is None:
        return False
    if processors is not runtime.seen_processors:
        runtime.seen_processors = processors
        runtime.app_exports_here = any(_exports_to(item, runtime.export_url) for item in processors)
    return runtime.app_exports_here


def _exports_to(processor: object, url: str) -> bool:
    with guard("provider.endpoint"):
        for holder in (processor, getattr(processor, "_batch_processor", None)):
            for attribute in ("span_exporter", "_exporter"):
                endpoint = getattr(getattr(holder, attribute, None), "_endpoint", None)
                if isinstance(endpoint, str) and _same_endpoint(endpoint, url):
                    return True
    return False


def _same_endpoint(one: str, other: str) -> bool:
    return _normal(one) == _normal(other)


def _normal(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url if "//" in url else f"//{url}")
    host = "127.0.0.1" if parts.hostname == "localhost" else (parts.hostname or "")
    return host, parts.port, parts.path.rstrip("/")

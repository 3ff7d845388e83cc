"""Settings come from the environment; one that cannot be used is reported, and never stops the app."""

import logging

import pytest

from fanlight._config import read_config


def test_unusable_settings_are_reported_and_the_default_stands(caplog: pytest.LogCaptureFixture) -> None:
    config = read_config(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "5s",
            "OTEL_EXPORTER_OTLP_HEADERS": "token",
            "FANLIGHT_QUEUE_LIMIT_BYTES": "-1",
        }
    )
    assert config.traces_url == "http://127.0.0.1:4318/v1/traces"
    assert config.timeout_s == 10
    assert config.queue_limit_bytes == 64 * 2**20
    assert caplog.record_tuples[0] == (
        "fanlight",
        logging.WARNING,
        "fanlight: OTEL_EXPORTER_OTLP_ENDPOINT is 'collector:4318': give a URL, for example "
        "http://127.0.0.1:4318; going on with http://127.0.0.1:4318",
    )
    assert len(caplog.messages) == 4
    assert "token" not in caplog.messages[1]


def test_grpc_endpoint_needs_no_scheme(caplog: pytest.LogCaptureFixture) -> None:
    grpc = {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert read_config({**grpc, "OTEL_EXPORTER_OTLP_ENDPOINT": "c:4317"}).traces_url == "http://c:4317"
    assert read_config(grpc).traces_url == "http://127.0.0.1:4317"
    assert caplog.messages == []


def test_traces_endpoint_is_taken_as_it_is() -> None:
    config = read_config(
        {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://c.example/otlp/v1/traces",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://other:4318/",
        }
    )
    assert config.traces_url == "https://c.example/otlp/v1/traces"
    assert read_config({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:1/base/"}).traces_url == (
        "http://c:1/base/v1/traces"
    )


def test_who_a_request_is_for_and_whom_it_believes_are_settings(caplog: pytest.LogCaptureFixture) -> None:
    config = read_config({"FANLIGHT_USER_HEADER": "X-User", "FANLIGHT_TRUST_HEADERS": "Never"})
    assert (config.user_header, config.session_header, config.trust_headers) == ("X-User", None, "never")
    assert read_config({"FANLIGHT_TRUST_HEADERS": "private"}).trust_headers == "direct"
    (told,) = caplog.messages
    assert "FANLIGHT_TRUST_HEADERS is 'private': give one of direct, always, never;" in told

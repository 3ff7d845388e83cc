"""What other instrumentations really export: each call once, with the tokens of the recordings.

Expected values are EXPECTED.json of the recorded suites. It counts answered calls apart from failed ones; the
suite openai-v2 holds only part of what was called, so its own content is stated beside the truth.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

import otlp_json
from fanlight_schema import refresh
from fanlight_schema.store import Store

DATA = (
    Path(os.environ.get("FANLIGHT_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    / "otlp-generated"
)
CONTAINED = {"openai-v2": {"calls": 5, "errors": 1, "inp": 520, "out": 70}}  # truth: 8 calls, 683/119 tokens

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded payloads in {DATA}")


def test_every_payload_suite_gives_its_known_calls_errors_and_tokens(embedded_store: Store) -> None:
    expected: dict[str, Any] = json.loads((DATA / "EXPECTED.json").read_text())
    for suite in expected:
        for path in sorted((DATA / suite).glob("*-traces.json")):
            embedded_store.insert("otel_traces", otlp_json.columns(otlp_json.read_spans(path)))
    refresh.settle(embedded_store, timeout_s=60)
    found = embedded_store.query(
        "SELECT service, sum(model_calls - errors), sum(errors), sum(input_tokens), sum(output_tokens),"
        " sum(requests) = sum(model_calls) FROM actions GROUP BY service"
    ).rows
    wanted = {suite: CONTAINED.get(suite, entry["truth"]) for suite, entry in expected.items()}
    assert {row[0].removeprefix("gen-"): row[1:] for row in found} == {
        suite: (truth["calls"], truth["errors"], truth["inp"], truth["out"], True)
        for suite, truth in wanted.items()
    }


def test_streamed_usage_of_logfire_belongs_to_its_call(embedded_store: Store) -> None:
    rows = otlp_json.read_spans(DATA / "logfire-openai" / "001-traces.json")
    embedded_store.insert("otel_traces", otlp_json.columns(rows))
    refresh.settle(embedded_store, timeout_s=60)
    calls = embedded_store.query(
        "SELECT request_model, input_tokens, output_tokens FROM model_calls"
        " WHERE user_id = 'u-2' ORDER BY started_at"
    ).rows
    assert calls == [
        ("gpt-4.1-mini", 57, 17),
        ("gpt-4.1-mini", 107, 15),
        ("gpt-5.5", 58, 23),
        ("gpt-5.5", 94, 18),
        ("gpt-4o", 11, 8),
    ]

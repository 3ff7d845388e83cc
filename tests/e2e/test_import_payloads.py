"""What other instrumentations really export, imported from files: each call once, with tokens and error.

The expected figures are those of EXPECTED.json beside the payloads: what the recorded conversations were,
counted by whoever recorded them. Its `calls` are the answered ones; the one that failed (404) is its
`errors`, and is a model call too: a conversation of 8 calls and 1 error is 9 rows. Only openai-v2's payload
holds less than its conversation: 6 spans, 5 answered and 1 failed, with 520/70 tokens of 683/119.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from running import Up, run_fanlight, running_up
from weka import data_folder

FOLDER = data_folder() / "otlp-generated"
SUITES: dict[str, dict[str, int]] = (
    {name: suite["truth"] for name, suite in json.loads((FOLDER / "EXPECTED.json").read_text()).items()}
    if (FOLDER / "EXPECTED.json").is_file()
    else {}
)
HELD_BY_PAYLOAD = {"openai-v2": {"calls": 5, "errors": 1, "inp": 520, "out": 70}}

pytestmark = pytest.mark.skipif(not SUITES, reason=f"no recorded OTLP payloads in {FOLDER}")


@pytest.fixture(scope="module", params=["pb", "json"])
def encoding(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def imported(encoding, tmp_path_factory) -> Iterator[Up]:
    """A collector into which all payloads of one encoding were imported by the command line."""
    folder = tmp_path_factory.mktemp("payloads")
    with running_up(f"chdb://{folder}/data", folder) as up:
        import_all(up, encoding)
        yield up


def import_all(up: Up, encoding: str) -> None:
    files = sorted(str(file) for file in FOLDER.glob(f"*/*.{encoding}"))
    run_fanlight("import", *files, "--store", up.url)
    up.settle()


def calls_of(up: Up, suite: str) -> dict[str, int]:
    traces = ", ".join(f"'{trace}'" for trace in sorted(trace_ids(suite)))
    [row] = up.rows(
        f"""
        SELECT countIf(NOT is_error) AS calls, countIf(is_error) AS errors,
               sum(input_tokens) AS inp, sum(output_tokens) AS out
        FROM model_calls
        WHERE trace_id IN ({traces})
        """
    )
    return row


def trace_ids(suite: str) -> set[str]:
    """The trace ids that a suite's payloads hold, read here and not by fanlight."""
    documents = [json.loads(file.read_text()) for file in (FOLDER / suite).glob("*-traces.json")]
    return {
        span["traceId"]
        for document in documents
        for resource in document["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    }


@pytest.mark.parametrize("suite", SUITES)
def test_every_call_of_a_payload_counts_once_with_its_tokens(imported, suite):
    assert calls_of(imported, suite) == HELD_BY_PAYLOAD.get(suite, SUITES[suite])


def test_openai_v2_payload_lacks_three_answers_of_its_conversation():
    """The payload's own spans, added up: 6 calls and 520/70 tokens; the conversation: 9 calls and 683/119."""
    if "openai-v2" not in SUITES:
        pytest.skip(f"no openai-v2 in {FOLDER}")
    whole, held = SUITES["openai-v2"], HELD_BY_PAYLOAD["openai-v2"]
    suite = json.loads((FOLDER / "EXPECTED.json").read_text())["openai-v2"]
    assert (whole["calls"] + whole["errors"], held["calls"] + held["errors"]) == (9, 6)
    assert (held["inp"], held["out"]) == (suite["naive_sum_input"], suite["naive_sum_output"])
    assert (whole["inp"], whole["out"]) == (683, 119)


def test_payloads_imported_again_in_the_other_encoding_change_nothing(imported, encoding):
    before = {suite: calls_of(imported, suite) for suite in SUITES}
    import_all(imported, "json" if encoding == "pb" else "pb")
    assert {suite: calls_of(imported, suite) for suite in SUITES} == before


def test_metrics_and_logs_among_the_files_are_no_calls(imported):
    held = [HELD_BY_PAYLOAD.get(suite, truth) for suite, truth in SUITES.items()]
    [row] = imported.rows("SELECT count() AS calls FROM model_calls")
    assert row["calls"] == sum(truth["calls"] + truth["errors"] for truth in held)


def test_folder_has_payloads_of_every_suite():
    assert all(any(Path(FOLDER / suite).glob("*-traces.pb")) for suite in SUITES)

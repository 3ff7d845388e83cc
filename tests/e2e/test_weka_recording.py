"""The reader of the recorded sessions against what is known of the recording itself."""

import json
from pathlib import Path

import pytest

import weka
import weka_truth

FOLDER = weka.folder()
pytestmark = pytest.mark.skipif(FOLDER is None, reason=f"no recorded sessions in {weka.data_folder()}")


@pytest.fixture(scope="module")
def raw() -> list[dict]:
    return weka.raw_sessions(FOLDER)


def published(raw: list[dict]) -> None:
    if len(raw) != weka.PUBLISHED_SESSIONS:
        pytest.skip(f"{len(raw)} sessions in {FOLDER}: not the published {weka.PUBLISHED_SESSIONS}")


def test_347_of_the_506_published_sessions_have_known_borders(raw):
    published(raw)
    assert sum(map(weka.qualifies, raw)) == weka.PUBLISHED_QUALIFYING


def test_16_of_the_qualifying_sessions_are_exact_copies(raw):
    published(raw)
    groups = json.loads((FOLDER / "duplicates.json").read_text())["dups"].values()
    qualifying = {session["id"] for session in raw if weka.qualifies(session)}
    here = [[name for name in map(_id, group) if name in qualifying] for group in groups]
    assert sum(len(group) - 1 for group in here if group) == 16


def test_session_read_with_its_block_hashes_is_the_same_as_with_counts(raw):
    """The originals list every block; somebody else's script made the block counts of the slim form."""
    slim = {session["id"]: session for session in raw}
    originals = [weka.original(file) for file in sorted(FOLDER.glob("traces/*.json*"))]
    compared = [(original, slim[original["id"]]) for original in originals if original["id"] in slim]
    if not compared:
        pytest.skip(f"{FOLDER} has no session in both forms")
    for original, counted in compared:
        assert original["requests"] == counted["requests"]


def test_replayed_records_and_independent_computation_agree_on_the_whole_recording(raw):
    qualifying = [session for session in raw if weka.qualifies(session)]
    total = weka_truth.total(weka_truth.actions(qualifying))
    sessions = weka.sessions(FOLDER)
    calls = [call for session in sessions for call in session.calls()]
    assert total.actions == sum(len(session.actions) for session in sessions)
    assert (total.calls, total.tools) == (len(calls), sum(call.used_tools for call in calls))
    assert total.input_tokens == sum(call.input_tokens for call in calls)
    assert total.cached_tokens == sum(call.cached_tokens for call in calls)
    assert total.output_tokens == sum(call.output_tokens for call in calls)


def test_sample_is_the_same_whatever_the_order_of_the_sessions():
    sessions = weka.sessions(FOLDER)
    assert weka.sample(sessions) == weka.sample(reversed(sessions))
    assert len(weka.sample(sessions)) == min(weka.SAMPLE_SESSIONS, len(sessions))


def test_nearest_rank_is_the_smallest_value_with_that_share_at_or_below():
    assert [weka_truth.nearest_rank([1, 2, 3, 4], percent) for percent in (25, 26, 50, 75, 99)] == [
        1,
        2,
        2,
        3,
        4,
    ]


def _id(path: str) -> str:
    return Path(path).stem

"""The 65 situations in which other tracers were measured, for the sync and the async client.

What happens in each, what is true of it and how it is compared: situations.py. `make situations` prints them.
"""

import pytest

from situation_runs import Findings, run_all
from situation_table import measured
from situations import SITUATIONS, Kind

CASES = [(situation.name, kind) for situation in SITUATIONS for kind in situation.kinds]


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    """What is wrong with each; all programs run once."""
    return run_all(tmp_path_factory.mktemp("situations"))


@pytest.mark.parametrize(("name", "kind"), CASES, ids=[f"{name}-{kind}" for name, kind in CASES])
def test_all_of_it_is_told_and_the_app_sees_nothing_of_it(findings: Findings, name: str, kind: Kind) -> None:
    assert findings[name, kind] == []


def test_they_are_those_of_the_comparison_with_the_same_truth() -> None:
    notes = measured()
    if not notes:
        pytest.skip("../shared/notes/peers.md is not here")  # shared data is optional
    assert {one.name: one.truth for one in SITUATIONS} == {name: row.truth for name, row in notes.items()}
    assert len(SITUATIONS) == len(notes) == 65


def test_the_others_are_judged_as_the_comparison_judged_them() -> None:
    notes = measured()
    if not notes:
        pytest.skip("../shared/notes/peers.md is not here")  # shared data is optional
    right = [row.right for row in notes.values()]
    best = max(sum(tracer in row for row in right) for tracer in next(iter(notes.values())).cells)
    assert (best, right.count([])) == (26, 32)  # as it says above its table

"""Busy time that is shared out: nothing is lost, nobody gets more than their part."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight_schema.gpu.sharing import Shares, share_ns

works = st.lists(st.floats(0, 1e12), max_size=30)


@given(st.integers(0, 2**63), works, st.none() | st.floats(0, 1e15))
def test_attributed_and_unattributed_are_busy_exactly(
    busy: int, work: list[float], total: float | None
) -> None:
    found = share_ns(busy, work, total)
    assert sum(found.attributed_ns) + found.unattributed_ns == busy
    assert min([*found.attributed_ns, found.unattributed_ns]) >= 0
    whole = max(sum(map(Fraction, work)), Fraction(total or 0))
    for part, one in zip(found.attributed_ns, work, strict=True):
        assert not whole or 0 <= busy * Fraction(one) / whole - part < 1


def test_other_peoples_load_is_not_charged_to_our_requests() -> None:
    assert share_ns(1000, [1, 3], total=8) == Shares([125, 375], 500)
    assert share_ns(1000, [1, 3]) == Shares([250, 750], 0)
    assert share_ns(1000, [1, 3], total=2) == Shares([250, 750], 0)  # the counters tell of less than our own
    assert share_ns(1000, []) == share_ns(1000, [], total=5) == Shares([], 1000)
    assert share_ns(1000, [0.0, 0.0]) == Shares([0, 0], 1000)


@pytest.mark.parametrize(
    ("busy", "work", "total"), [(-1, [1], None), (1, [-1.0], None), (1, [float("nan")], None), (1, [1], -2.0)]
)
def test_no_time_or_work_is_negative(busy: int, work: list[float], total: float | None) -> None:
    with pytest.raises(ValueError, match="0 or more"):
        share_ns(busy, work, total)

"""The work features against hand-computed cases, a count token by token, and their properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight_schema.gpu.features import Request, Work, WorkRange, work, work_range

FEATURES = ("n", "u", "c", "o", "a", "k")


def as_tuple(found: Work) -> tuple[float, ...]:
    return tuple(getattr(found, name) for name in FEATURES)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # 100 tokens in, none cached: 100 * 100 / 2 pairs; 10 out: 10 * (100 + 5) token-steps
        ((100, 0, 10), (1, 100, 0, 10, 5_000, 1_050)),
        # 80 of them cached: 20 * (80 + 10) pairs; decode reads the same cache
        ((100, 80, 10), (1, 20, 80, 10, 1_800, 1_050)),
        # everything cached
        ((100, 100, 10), (1, 0, 100, 10, 0, 1_050)),
        # four inputs of 25 tokens attend only to themselves: 4 * 25 * 25 / 2
        ((100, 0, 0, 4, 1), (1, 100, 0, 0, 1_250, 0)),
        # two choices of 5 tokens over one prompt: 2 * 5 * (100 + 2.5)
        ((100, 0, 10, 1, 2), (1, 100, 0, 10, 5_000, 1_025)),
    ],
)
def test_hand_computed_requests(arguments: tuple[int, ...], expected: tuple[float, ...]) -> None:
    assert as_tuple(work(*arguments)) == expected


@given(st.integers(0, 400), st.integers(0, 400), st.integers(0, 200), st.integers(1, 4))
def test_features_are_what_a_count_token_by_token_gives(
    cached: int, uncached: int, per_choice: int, choices: int
) -> None:
    # A new prompt token attends to all before it and half of itself; an output token reads what is cached.
    pairs = sum(cached + position + 0.5 for position in range(uncached))
    prompt = cached + uncached
    steps = choices * sum(prompt + position + 0.5 for position in range(per_choice))
    found = work(prompt, cached, per_choice * choices, 1, choices)
    assert (found.a, found.k) == pytest.approx((pairs, steps))


tokens = st.integers(0, 10_000_000)


@given(tokens, tokens, tokens, st.integers(0, 1_000))
def test_more_tokens_are_never_less_work(prompt: int, cached: int, output: int, more: int) -> None:
    cached = min(cached, prompt)
    base = as_tuple(work(prompt, cached, output))
    assert all(a <= b for a, b in zip(base, as_tuple(work(prompt + more, cached, output)), strict=True))
    assert all(a <= b for a, b in zip(base, as_tuple(work(prompt, cached, output + more)), strict=True))


@given(tokens, tokens, tokens)
def test_more_of_the_prompt_cached_is_less_attention_and_less_prefill(prompt: int, x: int, y: int) -> None:
    less, more = sorted((min(x, prompt), min(y, prompt)))
    assert work(prompt, more, 1).u <= work(prompt, less, 1).u
    assert work(prompt, more, 1).a <= work(prompt, less, 1).a


requests = st.builds(
    Request,
    outcome=st.sampled_from(["answered", "refused", "timed_out", "server_error", "cancelled", "cut"]),
    input_tokens=st.none() | st.integers(0, 200_000),
    output_tokens=st.none() | st.integers(0, 50_000),
    cached_tokens=st.none() | st.integers(0, 200_000),
    max_tokens=st.none() | st.integers(1, 50_000),
    inputs=st.integers(1, 8),
    choices=st.integers(1, 8),
    prefix_seen=st.booleans(),
    worked_s=st.none() | st.floats(0, 1e6),
)


@given(requests)
def test_a_bound_is_never_on_the_wrong_side(request: Request) -> None:
    found = work_range(request)
    if found is None:
        assert request.input_tokens is None or request.output_tokens is None
        return
    for name in ("n", "u", "o", "a", "k"):
        low, value, high = (getattr(bound, name) for bound in (found.low, found.value, found.high))
        assert 0 <= low <= value <= high, name
    assert found.high.u + found.high.c == found.value.u + found.value.c


def test_a_refused_request_is_no_work_and_known_to_be_none() -> None:
    assert work_range(Request("refused", None, None)) == WorkRange(Work(), Work(), Work())


def test_unknown_tokens_are_unknown_work_never_none() -> None:
    assert work_range(Request("answered", 10, None)) is None
    assert work_range(Request("answered", None, 10)) is None
    assert work_range(Request("timed_out", None, None)) is None


def test_a_timed_out_request_is_between_nothing_and_its_token_limit() -> None:
    found = work_range(Request("timed_out", 100, None, cached_tokens=0, max_tokens=50, choices=2))
    assert found == WorkRange(work(100, 0, 0, 1, 2), Work(), work(100, 0, 100, 1, 2))


@pytest.mark.parametrize(("worked_s", "most"), [(0.002, 21), (0.2, 2_100), (60.0, 16_384), (None, 16_384)])
def test_a_server_error_did_no_more_than_fits_into_its_time(worked_s: float | None, most: int) -> None:
    # 10,500 tokens/s is the fastest decoding that was published
    found = work_range(Request("server_error", 100, None, cached_tokens=0, worked_s=worked_s))
    assert found is not None
    assert as_tuple(found.high) == pytest.approx(as_tuple(work(100, 0, most)))


def test_a_cancelled_request_did_at_least_what_was_seen() -> None:
    found = work_range(Request("cancelled", 100, 7, cached_tokens=40, max_tokens=50))
    assert found == WorkRange(work(100, 40, 7), work(100, 40, 7), work(100, 40, 50))


def test_unreported_cache_reads_are_all_but_the_last_block_at_most() -> None:
    # 100 tokens are six full blocks of 16 and a rest; a prompt of 96 keeps its last block to compute.
    for prompt, most_cached in ((100, 96), (96, 80), (1, 0)):
        found = work_range(Request("answered", prompt, 5, prefix_seen=True))
        assert found == WorkRange(work(prompt, 0, 5), work(prompt, most_cached, 5), work(prompt, 0, 5), True)


def test_the_first_call_of_a_session_cannot_have_had_a_filled_cache() -> None:
    found = work_range(Request("answered", 100, 5, prefix_seen=False))
    assert found == WorkRange(work(100, 0, 5), work(100, 0, 5), work(100, 0, 5), True)

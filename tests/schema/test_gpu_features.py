"""The work features against hand-computed cases, a count token by token, and their properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fanlight_schema.gpu.features import Request, Steps, Work, WorkRange, steps, work, work_range

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


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 100), st.integers(1, 3), st.integers(1, 400))
def test_windowed_features_are_what_a_count_token_by_token_gives(
    cached: int, uncached: int, per_choice: int, choices: int, window: int
) -> None:
    """Never more than without the window, nor than a full window a token, nor below that by window^2 / 2."""
    prompt = cached + uncached
    found = work(prompt, cached, per_choice * choices, 1, choices, window)
    # the token that fills the window sees half of itself, as all do: its middle stands for it
    pairs = sum(min(cached + position + 0.5, window) for position in range(uncached))
    reads = choices * sum(min(prompt + position + 0.5, window) for position in range(per_choice))
    assert (found.a, found.k) == pytest.approx((pairs, reads))
    whole = work(prompt, cached, per_choice * choices, 1, choices)
    assert found.a <= min(whole.a, uncached * window) + 1e-6
    assert found.k <= min(whole.k, per_choice * choices * window) + 1e-6
    assert found.a >= uncached * window - window**2 / 2 - 1e-6
    assert found.k >= choices * (per_choice * window - window**2 / 2) - 1e-6


def test_a_window_of_four_over_ten_tokens() -> None:
    # four tokens fill the window: 4 * 4 / 2 pairs; six see four each; two out of a full window read 2 * 4
    assert as_tuple(work(10, 0, 2, window=4)) == (1, 10, 0, 2, 8 + 24, 8)
    # three cached: one token from 3 to 4 (3.5), six of 4 each; two inputs of five: 8 + 4 each
    assert work(10, 3, 0, window=4).a == 3.5 + 24
    assert work(10, 0, 0, 2, 1, window=4).a == 2 * (8 + 4)


def test_hand_computed_steps() -> None:
    # 100 tokens beside nine others are a share of 10 steps, each a pass over all weights of a dense model
    assert steps(100, 10) == Steps(10, 10)
    # half of the weights dense, 2 of 8 experts: 2 tokens read 0.5 + 0.5 (1 - 0.75^2) = 0.71875
    assert steps(100, 2, dense_share=0.5, expert_share=0.25) == Steps(50, 50 * 0.71875)
    # one drafted token, 1.6 accepted: 62.5 steps shared by 2, each of 4 tokens: 0.5 + 0.5 (1 - 0.75^4)
    found = steps(100, 2, dense_share=0.5, expert_share=0.25, accepted=1.6, drafted=1)
    assert (found.s, found.w) == pytest.approx((31.25, 31.25 * (1 - 0.5 * 0.75**4)))
    assert steps(0, 7) == Steps()


@pytest.mark.parametrize(("batch", "accepted", "drafted"), [(0.5, 1, 0), (1, 0.5, 0), (1, 2.5, 1)])
def test_steps_that_cannot_be_are_an_error(batch: float, accepted: float, drafted: float) -> None:
    with pytest.raises(ValueError, match="batch"):
        steps(10, batch, accepted=accepted, drafted=drafted)


shares = st.floats(0.01, 1)


@given(st.integers(0, 100_000), st.integers(0, 100_000), st.floats(1, 1000), shares, shares)
def test_steps_add_up_and_are_fewer_in_larger_batches(
    one: int, two: int, batch: float, dense: float, expert: float
) -> None:
    def of(output: int, together: float) -> Steps:
        return steps(output, together, dense_share=dense, expert_share=expert)

    both, whole = of(one, batch) + of(two, batch), of(one + two, batch)
    assert (both.s, both.w) == pytest.approx((whole.s, whole.w))
    larger = of(one, 2 * batch)
    assert larger.s <= whole.s
    assert 0 <= larger.w <= of(one, batch).w * (1 + 1e-9)
    assert whole.w <= whole.s * (1 + 1e-9)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 500)), min_size=1, max_size=5))
def test_inputs_are_no_more_than_as_many_requests_and_choices_share_one_prefill(
    asked: list[tuple[int, int]],
) -> None:
    prompt, output = asked[0]
    m = len(asked)
    together, alone = work(prompt * m, 0, 0, inputs=m), work(prompt, 0, 0)
    assert together.a == pytest.approx(m * alone.a)
    assert (together.n, together.u) == (1, m * alone.u)
    chosen, single = work(prompt, 0, output * m, choices=m), work(prompt, 0, output)
    assert chosen.k == pytest.approx(m * single.k)
    assert (chosen.n, chosen.u, chosen.a, chosen.o) == (1, single.u, single.a, m * output)


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

"""The demo's server, asked through the real openai SDK: what it answers is what it counts."""

import openai
import pytest

from fanlight_collectors.demo_model import DemoModel, count_tokens, prompt_text
from fanlight_collectors.demo_server import RunningDemoServer, main, running_demo_server

QUESTION = [{"role": "user", "content": "How many GPUs does a city of agents need?"}]


def ask(server: RunningDemoServer, retries: int = 2) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="demo", max_retries=retries)


def test_tokens_are_one_for_four_characters_begun() -> None:
    assert [count_tokens("x" * n) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]


def test_plain_and_streamed_answers_are_the_same_and_so_are_their_tokens() -> None:
    with running_demo_server() as server, ask(server) as client:
        plain = client.chat.completions.create(model="m", messages=QUESTION)
        stream = client.chat.completions.create(
            model="m", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        assert text == plain.choices[0].message.content
        assert plain.usage is not None
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.completion_tokens == plain.usage.completion_tokens == count_tokens(text)
        assert plain.usage.prompt_tokens == count_tokens(prompt_text(QUESTION))
        assert server.tally.output_tokens == 2 * count_tokens(text)


def test_a_stream_without_include_usage_reports_none() -> None:
    with running_demo_server() as server, ask(server) as client:
        chunks = list(client.chat.completions.create(model="m", messages=QUESTION, stream=True))
    assert all(chunk.usage is None for chunk in chunks)


def test_a_prompt_is_cached_in_whole_blocks_but_never_to_its_last_token() -> None:
    model = DemoModel()
    long = [{"role": "user", "content": "x" * 1000}]
    first, again = (model.answer(long, [], None) for _ in range(2))
    assert first.cached_tokens == 0
    assert again.cached_tokens == (again.input_tokens - 1) // 16 * 16


def test_max_tokens_cuts_the_answer() -> None:
    answer = DemoModel().answer(QUESTION, [], 3)
    assert (answer.output_tokens, answer.finish_reason) == (3, "length")


def test_some_prompts_are_refused_once_and_the_sdk_tries_again() -> None:
    with running_demo_server() as server, ask(server) as client:
        for number in range(200):
            messages = [{"role": "user", "content": f"question {number}"}]
            client.chat.completions.create(model="m", messages=messages, max_tokens=1)
    tally = server.tally
    assert tally.refused > 0
    assert tally.failed > 0
    assert (tally.answered, tally.requests) == (200, 200 + tally.refused + tally.failed)


def test_embeddings_count_their_inputs() -> None:
    with running_demo_server() as server, ask(server) as client:
        answer = client.embeddings.create(model="e", input=["one", "three tokens"])
    assert len(answer.data) == 2
    assert answer.usage.prompt_tokens == count_tokens("one") + count_tokens("three tokens") == 4


def test_a_request_that_makes_no_sense_is_answered_400_as_openai_does() -> None:
    with (
        running_demo_server() as server,
        ask(server) as client,
        pytest.raises(openai.BadRequestError, match="messages"),
    ):
        client.chat.completions.create(model="m", messages=[])


def test_an_address_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--listen", "8000"])
    assert "--listen is '8000'; give host:port" in capsys.readouterr().err

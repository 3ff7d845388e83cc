"""What is answered later: background responses that are looked at again, batches whose results are read."""

import json
import time
from collections.abc import Callable
from typing import Any

import anthropic
import pytest

import fanlight
from fanlight import patches
from fanlight.capture.batches import read_line
from fanlight.patches._batches import results_at
from fanlight.testing import Captured, EndedSpan
from mock_batches import ENDED_AT
from mock_openai import CREATED_AT
from mock_provider import Provider
from sdk_drivers import AsyncDriver, Driver
from sdks import GoogleSdk, MistralSdk
from span_trees import Node, described, plain_call

BACKGROUND: Any = {"model": "m", "input": "one two three", "background": True}


def identity(span: EndedSpan) -> tuple[str, str]:
    return span.trace_id, span.span_id


def test_a_background_response_is_its_post(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    driver.run(driver.client(url).responses.create(**BACKGROUND))
    assert described(captured) == [
        Node("chat m").but(model="m", answered_by="m-2026", requests=1, outcome="answered", http=200)
    ]


def test_a_later_look_completes_the_span_of_the_post(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario()
    client = driver.client(url)
    with fanlight.action("answer"):
        begun = driver.run(client.responses.create(**BACKGROUND))
        (first,) = captured.with_role("call")
    (truth,) = provider.truth(url, expect=1)
    with fanlight.action("look"):
        looks = [driver.run(client.responses.retrieve(begun.id)).status for _ in range(3)]
    assert looks == ["in_progress", "completed", "completed"]
    (second,) = captured.with_role("call")
    assert identity(first) == identity(second)
    assert (first.start_time_ns, first.end_time_ns) == (second.start_time_ns, second.end_time_ns)
    assert first.attributes.items() <= second.attributes.items()
    assert "gen_ai.usage.input_tokens" not in first.attributes
    assert described(captured) == [Node("answer", below=(plain_call(truth),)), Node("look")]


def test_a_look_at_somebody_elses_response_is_nothing(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario()
    client = driver.client(url)
    fanlight.uninstrument()
    begun = driver.run(client.responses.create(**BACKGROUND))
    with fanlight.testing.capture() as seen:
        driver.run(client.responses.retrieve(begun.id))
        driver.run(client.responses.retrieve(begun.id))
    assert seen.spans == []


def batch_line(number: int, said: dict[str, Any], operation: str = "chat") -> Node:
    kinds = {key: value for key, value in said.items() if key not in ("finish", "answered_by")}
    return Node(f"{operation} {said['answered_by']}").but(
        answered_by=said["answered_by"],
        finish=tuple(said["finish"]),
        requests=1,
        outcome="answered",
        http=200,
        usage="reported",
        **kinds,
    )


def read_openai_batch(driver: Driver, client: Any, *, errors: bool = False) -> Any:
    job = driver.run(
        client.batches.create(
            input_file_id="file-1", endpoint="/v1/chat/completions", completion_window="24h"
        )
    )
    return driver.run(client.batches.retrieve(job.id))


def test_a_batch_is_its_lines_when_its_results_are_read(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario()
    client = driver.client(url)
    job = read_openai_batch(driver, client)
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == []
    with fanlight.action("evaluate", user="u-1"):
        content = driver.run(client.files.content(job.output_file_id)).text
    assert len(content.splitlines()) == 2
    *lines, reader = described(captured)
    assert lines == [batch_line(i, said) for i, said in enumerate(truth.said["lines"])]
    assert reader == Node("evaluate")
    calls = captured.with_role("call")
    (action,) = {span.trace_id for span in calls}
    for span in calls:
        said = span.attributes
        assert span.start_time_ns == span.end_time_ns == CREATED_AT * 10**9
        assert (said["fanlight.workload"], said["user.id"]) == ("batch", "u-1")
        assert (said["fanlight.action.id"], said["fanlight.action.name"]) == (action, "batch")
        assert said["fanlight.action.parent_id"] == captured.named("evaluate").trace_id
        assert (said["server.address"], said["server.port"]) == ("127.0.0.1", provider.port)


def test_results_that_are_read_twice_are_the_same_spans(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario()
    client = driver.client(url)
    job = read_openai_batch(driver, client)
    for _ in range(2):
        driver.run(client.files.content(job.output_file_id))
    assert len(captured.spans) == 4
    assert len({identity(span) for span in captured.spans}) == 2
    assert {span.start_time_ns for span in captured.spans} == {CREATED_AT * 10**9}


def test_a_refused_line_is_a_refused_request_and_an_expired_one_is_none(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario()
    client = driver.client(url)
    job = read_openai_batch(driver, client)
    driver.run(client.files.content(job.error_file_id))
    assert described(captured) == [Node("chat").but(requests=1, outcome="refused", http=400, error="400")]
    assert captured.spans[0].start_time_ns == ENDED_AT * 10**9  # the line says no time, the job does


def test_another_file_is_no_batch(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario()
    client = driver.client(url)
    assert driver.run(client.files.content("file-7")).text
    assert described(captured) == []


def test_anthropics_batch_is_its_lines(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario(end="")
    kind = anthropic.AsyncAnthropic if isinstance(driver, AsyncDriver) else anthropic.Anthropic
    client: Any = kind(base_url=url, api_key="k")
    driver.at_end(client.close)
    params = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "one two"}]}
    asked = [{"custom_id": f"line-{i}", "params": params} for i in range(3)]
    job = driver.run(client.messages.batches.create(requests=asked))
    (truth,) = provider.truth(url, expect=1)
    for _ in range(2):
        results = driver.take(driver.run(client.messages.batches.results(job.id)))
        assert [result.result.type for result in results] == ["succeeded", "succeeded", "canceled"]
    assert described(captured)[:2] == [batch_line(i, said) for i, said in enumerate(truth.said["lines"])]
    assert len({identity(span) for span in captured.spans}) == 2
    assert {span.start_time_ns for span in captured.spans} == {ENDED_AT * 10**9}


def read_mistral_batch(driver: Driver, client: Any, **asked: Any) -> Any:
    jobs, name = client.batch.jobs, "{}_async" if isinstance(driver, AsyncDriver) else "{}"
    job = driver.run(
        getattr(jobs, name.format("create"))(model="m", endpoint="/v1/chat/completions", **asked)
    )
    return driver.run(getattr(jobs, name.format("get"))(job_id=job.id))


def batch_of(
    captured: Captured, truth: Any, status: int, read: Callable[[], object], operation: str = "chat"
) -> None:
    """Two lines were answered and one was refused, and reading them again changes nothing."""
    read()
    *lines, refused = described(captured)
    assert lines == [batch_line(i, said, operation) for i, said in enumerate(truth.said["lines"])]
    assert refused == Node(operation).but(requests=1, outcome="refused", http=status, error=str(status))
    assert max(span.start_time_ns for span in captured.spans) == ENDED_AT * 10**9
    assert {span.attributes["fanlight.workload"] for span in captured.spans} == {"batch"}
    before = {(identity(span), span.start_time_ns) for span in captured.spans}
    read()
    assert len(captured.spans) == 6
    assert {(identity(span), span.start_time_ns) for span in captured.spans} == before


def test_mistral_s_batch_is_its_lines(provider: Provider, driver: Driver, captured: Captured) -> None:
    url = provider.scenario(end="/mistral")
    client = MistralSdk(driver).client(url)
    job = read_mistral_batch(driver, client, input_files=["file-1"])
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == []
    download = client.files.download_async if isinstance(driver, AsyncDriver) else client.files.download

    def read() -> None:
        content = driver.run(download(file_id=job.output_file))
        driver.run(content.aread() if isinstance(driver, AsyncDriver) else content.read())

    batch_of(captured, truth, 422, read)


def test_a_batch_of_gemini_has_its_lines_in_the_job(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario(end="")
    client = GoogleSdk(driver).client(url)
    batches = client.aio.batches if isinstance(driver, AsyncDriver) else client.batches
    asked = [{"contents": [{"parts": [{"text": "one two three"}]}]}] * 3
    job = driver.run(batches.create(model="m", src=asked))
    (truth,) = provider.truth(url, expect=1)
    assert described(captured) == []

    def read() -> None:
        assert driver.run(batches.get(name=job.name)).dest.inlined_responses

    batch_of(captured, truth, 400, read, "generate_content")


def test_a_batch_of_gemini_has_its_lines_in_a_file(
    provider: Provider, driver: Driver, captured: Captured
) -> None:
    url = provider.scenario(end="")
    client = GoogleSdk(driver).client(url)
    asynchronous = isinstance(driver, AsyncDriver)
    batches = client.aio.batches if asynchronous else client.batches
    job = driver.run(batches.create(model="m", src="files/asked"))
    (truth,) = provider.truth(url, expect=1)
    ready = driver.run(batches.get(name=job.name))
    assert described(captured) == []
    files = client.aio.files if asynchronous else client.files
    batch_of(
        captured,
        truth,
        400,
        lambda: driver.run(files.download(file=ready.dest.file_name)),
        "generate_content",
    )


def test_what_a_batch_asked_is_no_result() -> None:
    asked = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m"}}
    assert read_line(json.dumps(asked).encode()) is None
    assert read_line(b'{"key": "a", "request": {"contents": []}}') is None


def test_lines_whose_job_nobody_saw_are_where_they_were_read_first(
    provider: Provider, driver: Driver, captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = provider.scenario()
    client = driver.client(url)
    fanlight.uninstrument()
    job = read_openai_batch(driver, client)
    with fanlight.testing.capture() as seen:
        patches.install_all()
        for hour in (0, 1):
            monkeypatch.setattr(time, "time", lambda hour=hour: ENDED_AT + 7200 + 3600 * hour)
            driver.run(client.files.content(job.error_file_id))
    assert [span.start_time_ns for span in seen.spans] == [(ENDED_AT + 7200) * 10**9] * 2


def test_a_file_s_own_date_is_the_time_of_its_lines() -> None:
    taker = results_at("/v1/files/file-dated/content", ("h", None))
    assert taker is not None
    line = {"custom_id": "a", "response": {"status_code": 400, "body": {"error": {"type": "x"}}}}
    with fanlight.testing.capture() as seen:
        taker.begin("application/jsonl", {"last-modified": "Mon, 21 Sep 2026 14:23:20 GMT"}.get)
        taker.feed(json.dumps(line).encode())
        taker.finish()
    assert [span.start_time_ns for span in seen.spans] == [ENDED_AT * 10**9]

"""The situations that need no process of their own: each is a function of its name, run as an app would.

    situation_calls.py sync|async bare|traced URLS

URLS is JSON: a base URL for each situation that is to run. Prints JSON: all that the app saw in each of them,
answers, chunks, lines and exceptions. `bare` does without fanlight.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import pydantic

from sdk_drivers import AsyncDriver, Driver, SyncDriver, http_library
from situation_asks import ASK, INPUT_13, INPUT_16, TRIES, wait_for_arrival

STREAM: dict[str, Any] = {**ASK, "stream": True}
WITH_USAGE: dict[str, Any] = {**STREAM, "stream_options": {"include_usage": True}}
LEAD = 1  # chunks of a chat stream before the first text
RESPONSE_LEAD = 4
held: list[Any] = []  # until the end of the process


class Verdict(pydantic.BaseModel):
    answer: str


class App:
    """One situation: clients of one kind, and what comes of them."""

    def __init__(self, driver: Driver, url: str) -> None:
        self.driver = driver
        self.url = url
        self.is_async = isinstance(driver, AsyncDriver)
        self.seen: list[Any] = []

    def client(self, **options: Any) -> Any:
        return self.driver.client(self.url, **{"timeout": 30, **options})

    def chat(self, **options: Any) -> Any:
        return self.client(**options).chat.completions

    def create(self, options: Any, **of_client: Any) -> Any:
        return self.driver.run(self.chat(**of_client).create(**options))

    def take(self, stream: Any, count: int | None = None) -> None:
        self.saw(*self.driver.take(stream, count))

    def within(self, manager: Any, body: Callable[[Any], Any]) -> None:
        self.driver.within(manager, body)

    def asker(self) -> Callable[[], Any]:
        """One plain call for code without a loop, and its answer."""
        if not self.is_async:
            create = self.chat().create
            return lambda: self.saw(create(**ASK))

        async def ask() -> None:
            driver_class = self.driver.client_class
            async with driver_class(base_url=self.url, api_key="sk-secret") as client:
                self.saw(await client.chat.completions.create(**ASK))

        return lambda: asyncio.run(ask())

    def saw(self, *values: Any) -> None:
        self.seen += map(plain_value, values)


def plain_value(value: Any) -> Any:
    """Anything that an app can look at, as JSON; an exception with its causes and where it was raised."""
    if isinstance(value, BaseException):
        causes = []
        cause: BaseException | None = value
        while cause is not None:
            causes.append([f"{type(cause).__module__}.{type(cause).__qualname__}", str(cause)])
            cause = cause.__cause__ or cause.__context__
        return causes
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "model_dump_json"):
        return [type(value).__qualname__, json.loads(value.model_dump_json())]
    return value if isinstance(value, (str, int, float, list, dict, type(None))) else type(value).__qualname__


def plain(app: App) -> None:
    app.saw(app.create(ASK))


flaky2 = flaky2_async = rate_limited = always_500 = slow_duration = plain


def stream_usage(app: App) -> None:
    app.take(app.create(WITH_USAGE))


def stream_nousage(app: App) -> None:
    app.take(app.create(STREAM))


def stream_break(app: App) -> None:
    app.take(app.create(STREAM), LEAD + 16)


def astream_break(app: App) -> None:
    app.take(app.create(STREAM), LEAD + 17)


def stream_close(app: App) -> None:
    stream = app.create(STREAM)
    app.take(stream, LEAD + 8)
    app.saw(app.driver.run(stream.close()))


def stream_with_break(app: App) -> None:
    app.within(app.create(STREAM), lambda stream: app.take(stream, LEAD + 8))


def stream_with_raise(app: App) -> None:
    def fail(stream: Any) -> None:
        app.take(stream, LEAD + 8)
        raise KeyError("the app's own")

    app.within(app.create(STREAM), fail)


def stream_held(app: App) -> None:
    stream = app.create(STREAM)
    app.take(stream, LEAD + 25)
    held.extend((app, stream))


def stream_never(app: App) -> None:
    app.saw(app.create(STREAM))


def astream_cancel(app: App) -> None:
    async def cancelling() -> None:
        stream = await app.chat().create(**STREAM)
        taken = asyncio.Event()

        async def read() -> None:
            count = 0
            async for chunk in stream:
                app.saw(chunk)
                count += 1
                if count == LEAD + 10:
                    taken.set()

        task = asyncio.create_task(read())
        await taken.wait()
        await asyncio.sleep(0.01)
        task.cancel()
        await task

    app.driver.run(cancelling())


def cut_stream(app: App) -> None:
    app.take(app.create(STREAM))


def timeout_1(app: App) -> None:
    app.saw(app.create(ASK, timeout=0.2, max_retries=0))


def timeout_retries(app: App) -> None:
    app.saw(app.create(ASK, timeout=0.2, max_retries=TRIES))


def async_cancel(app: App) -> None:
    async def cancelling() -> None:
        task = asyncio.ensure_future(app.chat().create(**ASK))
        await asyncio.to_thread(wait_for_arrival, app.url)
        task.cancel()
        await task

    app.driver.run(cancelling())


def async_wait_for(app: App) -> None:
    app.driver.run(asyncio.wait_for(app.chat().create(**ASK), 0.3))


def raw_response(app: App) -> None:
    raw = app.driver.run(app.chat().with_raw_response.create(**ASK))
    app.saw(raw.http_response.status_code, raw.http_response.text, raw.parse())


def raw_response_stream(app: App) -> None:
    raw = app.driver.run(app.chat().with_raw_response.create(**WITH_USAGE))
    app.take(raw.parse())


def streaming_response(app: App) -> None:
    manager = app.chat().with_streaming_response.create(**ASK)
    app.within(manager, lambda response: app.saw(app.driver.run(response.parse())))


def streaming_response_stream(app: App) -> None:
    manager = app.chat().with_streaming_response.create(**WITH_USAGE)
    app.within(manager, lambda response: app.take(response.iter_lines()))


def responses_plain(app: App) -> None:
    app.saw(app.driver.run(app.client().responses.create(model="m", input=INPUT_16)))


def _response_stream(app: App, text: str) -> Any:
    return app.driver.run(app.client().responses.create(model="m", input=text, stream=True))


def responses_stream(app: App) -> None:
    app.take(_response_stream(app, INPUT_16))


def responses_async_stream(app: App) -> None:
    app.take(_response_stream(app, INPUT_13))


def responses_stream_break(app: App) -> None:
    app.take(_response_stream(app, INPUT_13), RESPONSE_LEAD + 8)


def responses_stream_helper(app: App) -> None:
    app.within(app.client().responses.stream(model="m", input=INPUT_16), app.take)


def parse(app: App) -> None:
    app.saw(app.driver.run(app.chat().parse(**ASK, response_format=Verdict)))


def chat_stream_helper(app: App) -> None:
    app.within(app.chat().stream(**ASK, stream_options={"include_usage": True}), app.take)


def embeddings(app: App) -> None:
    app.saw(app.driver.run(app.client().embeddings.create(model="m", input=INPUT_13)))


def generic_post(app: App) -> None:
    app.saw(app.driver.run(app.client().post("/chat/completions", body=ASK, cast_to=object)))


def _http(app: App) -> Any:
    library = http_library()
    client = library.AsyncClient() if app.is_async else library.Client()
    app.driver.at_end(client.aclose if app.is_async else client.close)
    return client


def httpx_plain(app: App) -> None:
    answer = app.driver.run(_http(app).post(f"{app.url}/chat/completions", json=ASK))
    app.saw(answer.status_code, answer.text, answer.num_bytes_downloaded)


def httpx_plain_stream(app: App) -> None:
    manager = _http(app).stream("POST", f"{app.url}/chat/completions", json=WITH_USAGE)
    lines = "aiter_lines" if app.is_async else "iter_lines"
    app.within(manager, lambda answer: app.take(getattr(answer, lines)()))


def urllib_plain(app: App) -> None:
    with urllib.request.urlopen(f"{app.url}/chat/completions", json.dumps(ASK).encode()) as answer:
        app.saw(answer.status, answer.read(10), answer.read())


def ctx_threadpool(app: App) -> None:
    ask = app.asker()
    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(ask) for _ in range(3)]:
            future.result()


def ctx_thread(app: App) -> None:
    threads = [threading.Thread(target=app.asker()) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def ctx_to_thread(app: App) -> None:
    async def main(ask: Callable[[], Any]) -> None:
        await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(3)))

    asyncio.run(main(app.asker()))


def ctx_run_in_executor(app: App) -> None:
    async def main(ask: Callable[[], Any]) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(None, ask) for _ in range(3)))

    asyncio.run(main(app.asker()))


def ctx_gather(app: App) -> None:
    async def main() -> None:
        create = app.chat().create
        app.saw(*await asyncio.gather(*(create(**ASK) for _ in range(3))))

    app.driver.run(main())


def ctx_create_task(app: App) -> None:
    async def main() -> None:
        create = app.chat().create
        for task in [asyncio.create_task(create(**ASK)) for _ in range(3)]:
            app.saw(await task)

    app.driver.run(main())


def ctx_stream_nested(app: App) -> None:
    stream = app.create(WITH_USAGE)
    app.take(stream, LEAD + 3)
    app.saw(app.create(ASK))
    app.take(stream)


def ctx_async_gen(app: App) -> None:
    """A generator is left in the middle of its stream, and the next call is made beside it."""

    def words() -> Iterator[Any]:
        for chunk in app.create(STREAM):
            if chunk.choices[0].delta.content:
                yield chunk

    async def words_async() -> Any:
        async for chunk in await app.chat().create(**STREAM):
            if chunk.choices[0].delta.content:
                yield chunk

    async def leaving() -> None:
        count = 0
        async for chunk in words_async():
            app.saw(chunk)
            count += 1
            if count == 6:
                break
        app.saw(await app.chat().create(**ASK))

    if app.is_async:
        app.driver.run(leaving())
        return
    generator = words()
    app.take(generator, 6)
    app.saw(app.create(ASK))


def switched_on(mode: str) -> Callable[[str], AbstractContextManager[Any]]:
    """How an action is begun: not at all in a bare program."""
    if mode == "bare":
        return lambda _: contextlib.nullcontext()
    import fanlight

    fanlight.instrument()
    return fanlight.action


def run(name: str, app: App) -> None:
    try:
        globals()[name](app)
    except BaseException as error:  # noqa: BLE001  (cancellation and all: what the app gets is compared)
        app.saw(error)


def main(kind: str, mode: str, urls: str) -> None:
    logging.getLogger("asyncio").addHandler(logging.NullHandler())  # it tells of the stream that is held
    action = switched_on(mode)
    told: dict[str, list[Any]] = {}
    for name, url in json.loads(urls).items():
        driver = AsyncDriver() if kind == "async" else SyncDriver()
        app = App(driver, url)
        with action(name):
            run(name, app)
        told[name] = app.seen
        if app not in held:
            del app
            driver.collect_garbage()
            driver.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Model calls of worker processes belong to the action of their parent, however they are started.

Workers that are killed are in test_spool_deaths.py.
"""

from pathlib import Path

import pytest

from mock_provider import Provider
from otlp_receiver import OtlpReceiver, attributes_of
from process_trees import ASK, ASK_SDK, described_spans, run_program, traces_of_actions
from span_trees import Node, plain_call

METHODS = ("fork", "spawn", "forkserver")

START = """
    import concurrent.futures, multiprocessing
    import fanlight
    if __name__ == "__main__":
        fanlight.instrument()
        context = multiprocessing.get_context(sys.argv[1])
"""

POOL = """
        with fanlight.action("pool", user="u-42"):
            pool = context.Pool(2{initializer})
            assert pool.map(ask, range(4)) == [25] * 4
            pool.close(); pool.join()
"""
OTHERS = """
        with fanlight.action("processes", user="u-42"):
            workers = [context.Process(target=ask) for _ in range(2)]
            for worker in workers: worker.start()
            for worker in workers: worker.join()
            assert [worker.exitcode for worker in workers] == [0] * 2
        pool = context.Pool(1)
        with fanlight.action("methods", user="u-42"):
            assert pool.apply(ask) == 25
            assert list(pool.imap_unordered(ask, range(1))) == [25]
            assert pool.starmap_async(ask, [(1,)]).get() == [25]
        pool.close(); pool.join()
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            with fanlight.action("executor", user="u-42"):
                assert list(executor.map(ask, range(3))) == [25] * 3
                assert executor.submit(ask).result() == 25
"""


@pytest.mark.parametrize("method", METHODS)
def test_workers_calls_are_the_actions(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, method: str
) -> None:
    url = provider.scenario()
    body = START + POOL.format(initializer="") + OTHERS
    run_program(body, tmp_path, method, ask=ASK_SDK if method == "fork" else ASK, BASE_URL=url)
    truth = provider.truth(url)
    calls = [plain_call(asked) for asked in truth]
    assert described_spans(collector.spans) == [
        Node("pool", below=tuple(calls[:4])),
        Node("processes", below=tuple(calls[4:6])),
        Node("methods", below=tuple(calls[6:9])),
        Node("executor", below=tuple(calls[9:])),
    ]
    assert len(calls) == 13
    assert len(traces_of_actions(collector.spans)) == 4
    assert {attributes_of(span)["user.id"] for span in collector.spans} == {"u-42"}
    assert not any("traceparent" in asked.headers or "baggage" in asked.headers for asked in truth)


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_with_an_initializer_of_its_own_is_the_actions_too(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, method: str
) -> None:
    url = provider.scenario()
    body = POOL.format(initializer=", fanlight.instrument")
    run_program(START + body, tmp_path, method, BASE_URL=url, FANLIGHT_SUBPROCESSES="false")
    assert described_spans(collector.spans) == [
        Node("pool", below=tuple(map(plain_call, provider.truth(url))))
    ]


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_that_alone_is_traced_loses_nothing_at_its_end(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, method: str
) -> None:
    url = provider.scenario()
    run_program(
        """
        import multiprocessing
        def work():
            import fanlight
            fanlight.instrument()
            ask()
        if __name__ == "__main__":
            worker = multiprocessing.get_context(sys.argv[1]).Process(target=work)
            worker.start(); worker.join()
        """,
        tmp_path,
        method,
        BASE_URL=url,
    )
    assert described_spans(collector.spans) == [plain_call(asked) for asked in provider.truth(url, expect=1)]


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_a_thread_that_outlives_a_workers_function_is_waited_for(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, method: str
) -> None:
    url = provider.scenario()
    run_program(
        """
        import concurrent.futures, multiprocessing, threading, time, fanlight
        def later():
            time.sleep(0.3)
            ask()
        executor = concurrent.futures.ThreadPoolExecutor(1)
        def work():
            threading.Thread(target=later).start()
            executor.submit(later)
        if __name__ == "__main__":
            fanlight.instrument()
            with fanlight.action("answer"):
                worker = multiprocessing.get_context(sys.argv[1]).Process(target=work)
                worker.start(); worker.join()
                assert worker.exitcode == 0
        """,
        tmp_path,
        method,
        BASE_URL=url,
    )
    calls = tuple(plain_call(asked) for asked in provider.truth(url))
    assert len(calls) == 2
    assert described_spans(collector.spans) == [Node("answer", below=calls)]


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_made_in_an_action_does_not_keep_it(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path, method: str
) -> None:
    url = provider.scenario()
    body = """
        with fanlight.action("first"):
            pool = context.Pool(1)
            executor = concurrent.futures.ProcessPoolExecutor(1, mp_context=context)
            pool.apply(ask)
            executor.submit(ask).result()
        pool.apply(ask)
        executor.submit(ask).result()
        pool.close(); pool.join()
        executor.shutdown()
    """
    run_program(START + body, tmp_path, method, BASE_URL=url)
    a, b, c, d = (plain_call(asked) for asked in provider.truth(url))
    assert described_spans(collector.spans) == [Node("first", below=(a, b)), c, d]


def test_a_worker_of_a_worker_is_the_actions(
    collector: OtlpReceiver, provider: Provider, tmp_path: Path
) -> None:
    url = provider.scenario()
    run_program(
        """
        import multiprocessing, fanlight
        spawn = multiprocessing.get_context("spawn")
        def middle():
            with fanlight.agent("researcher"):
                worker = spawn.Process(target=ask)
                worker.start(); worker.join()
        if __name__ == "__main__":
            fanlight.instrument()
            with fanlight.action("answer"):
                worker = spawn.Process(target=middle)
                worker.start(); worker.join()
        """,
        tmp_path,
        BASE_URL=url,
    )
    (asked,) = provider.truth(url)
    agent = Node("invoke_agent researcher", below=(plain_call(asked),))
    assert described_spans(collector.spans) == [Node("answer", below=(agent,))]
    assert len(traces_of_actions(collector.spans)) == 1


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_pickled_is_told_as_without_fanlight(
    collector: OtlpReceiver, tmp_path: Path, method: str
) -> None:
    done = run_program(
        """
        import concurrent.futures, multiprocessing, fanlight
        def fail(): raise ValueError("of the app")
        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[1])
            said, nameless = [], lambda: 1
            for traced in (False, True):
                if traced: fanlight.instrument()
                with fanlight.action("answer"), concurrent.futures.ProcessPoolExecutor(
                    1, mp_context=context
                ) as executor, context.Pool(1) as pool:
                    submit = lambda function: executor.submit(function).result()
                    for function in (nameless, fail):
                        for call in (submit, pool.apply):
                            try: call(function)
                            except Exception as error: said.append(f"{type(error)} {error}")
            assert len(said) == 8 and said[:4] == said[4:], said
            print(len(said))
        """,
        tmp_path,
        method,
    )
    assert done.stdout == "8\n"


def test_a_process_object_is_as_it_was_after_its_start(collector: OtlpReceiver, tmp_path: Path) -> None:
    run_program(
        """
        import multiprocessing, fanlight
        def names():
            assert multiprocessing.current_process().name == "worker"
        if __name__ == "__main__":
            fanlight.instrument()
            with fanlight.action("answer"):
                worker = multiprocessing.get_context("spawn").Process(target=names, name="worker")
                before = set(vars(worker))
                worker.start()
                assert set(vars(worker)) <= before | {"_sentinel"}
                worker.join()
                assert worker.exitcode == 0
        """,
        tmp_path,
    )

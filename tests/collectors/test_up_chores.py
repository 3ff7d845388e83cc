"""The threads of `up` that compute beside ingestion."""

import threading

from fanlight_collectors.up.chores import Chore


def test_no_error_ends_it_for_good() -> None:
    again = threading.Event()
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise IndexError("not an error of the store")
        again.set()

    chore = Chore("something", 0.01, work)
    chore.start()
    try:
        assert again.wait(10)
    finally:
        chore.close()

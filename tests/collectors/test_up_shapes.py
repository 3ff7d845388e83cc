"""The thread of `up` that computes shapes."""

import threading
from typing import cast

import pytest

from fanlight_collectors.up import shapes
from fanlight_schema.store import Store


def test_no_error_ends_it_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    again = threading.Event()
    tries: list[Store] = []

    def compute(store: Store) -> None:
        tries.append(store)
        if len(tries) == 1:
            raise IndexError("not an error of the store")
        again.set()

    monkeypatch.setattr(shapes, "EVERY_S", 0.01)
    monkeypatch.setattr(shapes.shape, "compute", compute)
    loop = shapes.ShapeLoop(cast(Store, None))
    loop.start()
    try:
        assert again.wait(10)
    finally:
        loop.close()

"""A process that dies in the middle of counting what it wrote, and one that goes on after it.

    python tests/support/killed_writer.py FOLDER SEED die       # never returns: kills itself
    python tests/support/killed_writer.py FOLDER SEED go-on     # sends what is left, and the last batch again

Run with the packages and tests/support on PYTHONPATH.
"""

import os
import random
import signal
import sys
import threading
import time
from typing import Any

import otlp_json
import random_cascades
from fanlight_schema import migrate, refresh
from fanlight_schema.store import Store, open_store

CASCADES = 6
OPEN_A_BUILD = (
    "INSERT INTO picked SELECT toUnixTimestamp64Micro(now64(6)), trace_id, mark, now() FROM touched"
    " GROUP BY trace_id, mark HAVING sum(sign) > 0"
)
START_IT = "INSERT INTO build_started SELECT max(build) FROM picked"


def batches(seed: int) -> list[list[dict[str, Any]]]:
    rng = random.Random(seed)
    return list(random_cascades.deliveries(rng, random_cascades.rows(rng, CASCADES)))


def write_and_die(store: Store, seed: int) -> None:
    """Writes half of the batches and ends without warning while its actions are computed, or before."""
    for view in (refresh.PICK, refresh.BUILD):
        store.command(f"SYSTEM STOP VIEW {view}")
    sent = batches(seed)
    for batch in sent[: len(sent) // 2]:
        store.insert("otel_traces", otlp_json.columns(batch))
    if seed % 4:
        store.command(OPEN_A_BUILD)
        threading.Thread(target=store.command, args=(START_IT,), daemon=True).start()
        time.sleep(random.Random(seed).uniform(0, 1.5))
    os.kill(os.getpid(), signal.SIGKILL)


def go_on(store: Store, seed: int) -> None:
    sent = batches(seed)
    for batch in sent[max(len(sent) // 2 - 1, 0) :]:
        store.insert("otel_traces", otlp_json.columns(batch))


if __name__ == "__main__":
    folder, chosen, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    with open_store(f"chdb://{folder}") as opened:
        migrate.apply(opened)
        if what == "die":
            write_and_die(opened, chosen)
        go_on(opened, chosen)
        refresh.settle(opened, timeout_s=120)
        sys.stdout.buffer.write(opened.query_bytes(sys.argv[4], "JSONCompactEachRow"))

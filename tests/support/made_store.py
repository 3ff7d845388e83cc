"""Makes or changes a data folder from a process of its own: one process can hold only one folder open.

made_store.make(folder, rows=[...])
made_store.make(folder, commands=["DROP VIEW actions"])
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def make(
    folder: Path, *, rows: Sequence[dict[str, Any]] = (), exporter: str = "", commands: Sequence[str] = ()
) -> None:
    """Applies the migrations, or makes an exporter's tables of the form `exporter`; then writes, then runs.

    Figures of the rows are there when it returns, except beside an exporter.
    """
    roots = [str(ROOT / name) for name in ("schema", "collectors", "tracer", "tests/support")]
    wanted = {"folder": str(folder), "rows": list(rows), "exporter": exporter, "commands": list(commands)}
    subprocess.run(
        [sys.executable, __file__],
        input=json.dumps(wanted),
        env=os.environ | {"PYTHONPATH": os.pathsep.join(roots)},
        check=True,
        text=True,
        timeout=200,
    )


def main() -> None:
    import exporter_tables
    import otlp_json
    from fanlight_schema import migrate, refresh
    from fanlight_schema.store import open_store

    wanted = json.load(sys.stdin)
    is_new = not Path(wanted["folder"]).exists()
    with open_store(f"chdb://{wanted['folder']}") as store:
        if is_new and wanted["exporter"]:
            exporter_tables.create(store, wanted["exporter"])
        elif is_new:
            migrate.apply(store)
        if wanted["rows"]:
            store.insert("otel_traces", otlp_json.columns(wanted["rows"]))
        if wanted["rows"] and not wanted["exporter"]:
            refresh.settle(store, timeout_s=60)
        for command in wanted["commands"]:
            store.command(command)


if __name__ == "__main__":
    main()

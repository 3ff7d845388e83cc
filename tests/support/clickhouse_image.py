"""A real ClickHouse server with configuration files where its image has them.

The server of the tests takes users from XML and holds them to their grants, as any ClickHouse does.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clickhouse_server import Server, free_ports, library, running_in
from requirements import require

# What the image of ClickHouse brings; the files are merged into it.
USERS = """
<clickhouse>
  <profiles><default/></profiles>
  <quotas><default/></quotas>
  <users><default>
    <password/><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
  </default></users>
</clickhouse>
"""


@contextmanager
def running_image(folder: Path, files: Mapping[str, str]) -> Iterator[Server]:
    """`files` are texts by their path below /etc/clickhouse-server; disks are folders of `folder`."""
    found = library()
    require(found is not None, "the ClickHouse test server")
    assert found is not None
    (folder / "users.xml").write_text(USERS)
    for path, text in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text.replace("/var/lib/clickhouse-cold", str(folder / "cold")))
    config = f"<clickhouse><users_config>{folder}/users.xml</users_config></clickhouse>"
    with running_in(found, folder, free_ports(2), config) as server:
        yield server

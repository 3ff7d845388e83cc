"""One run of the demo's agent against its server and a real `fanlight up`, for all tests that look at it."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from demo_run import DemoRun
from fanlight_cli import clean_environment
from fanlight_collectors.demo_server import running_demo_server
from running import running_up


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoRun]:
    folder = tmp_path_factory.mktemp("demo")
    with running_up(f"chdb://{folder}/data", folder) as up:
        with running_demo_server() as server:
            environment = clean_environment(
                {
                    "OPENAI_BASE_URL": server.base_url,
                    "OPENAI_API_KEY": "demo",
                    "OTEL_EXPORTER_OTLP_ENDPOINT": up.url,
                }
            )
            command = [sys.executable, "-W", "error", "-m", "fanlight.demo_agent", "--session", "test"]
            subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
        up.settle()
        yield DemoRun(up, server.tally, folder)

"""`fanlight run` in front of a web app: its requests that call a model are the actions, with their users."""

import subprocess
import sys
from pathlib import Path

from mock_provider import running_provider
from running import FANLIGHT, SUPPORT, clean_environment, running_up
from serving import ask, eventually

ROWS = """
SELECT
    action_name, action_source, origin, user_id, session_id,
    model_calls, requests, has_root, traces, spans, orphans
FROM actions ORDER BY started_at
"""


def test_requests_that_call_a_model_are_the_actions_of_a_web_app(tmp_path: Path) -> None:
    with running_provider() as provider, running_up(f"chdb://{tmp_path}/data", tmp_path) as up:
        model = provider.scenario()
        environment = {
            **clean_environment(),
            "OPENAI_BASE_URL": model,
            "OPENAI_API_KEY": "none",
            "OTEL_EXPORTER_OTLP_ENDPOINT": up.url,
            "FANLIGHT_USER_HEADER": "X-User-Id",
            "FANLIGHT_SESSION_HEADER": "X-Session-Id",
        }
        command = [*FANLIGHT, "run", "--", sys.executable, str(SUPPORT / "plain_web_app.py")]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as app:
            assert app.stdout is not None
            url = f"http://127.0.0.1:{int(app.stdout.readline())}"
            eventually(lambda: ask(f"{url}/health", "GET").status == 200)
            for path, user in (("/ask/2", "u-1"), ("/ask/0", "u-1"), ("/stream", "u-2"), ("/ask/1", "u-1")):
                assert ask(url + path, x_user_id=user, x_session_id="s").status == 200
            eventually(lambda: up.rows("SELECT count() AS n FROM otel_traces") == [{"n": 7}])
            app.terminate()
        up.settle()
        truth = len(provider.truth(model))
        rows = up.rows(ROWS)
    told = {
        "action_source": "automatic",
        "origin": "user",
        "session_id": "s",
        "has_root": True,
        "traces": 1,
        "orphans": 0,
    }

    def row(name: str, user: str, calls: int) -> dict[str, object]:
        own = {
            "action_name": name,
            "user_id": user,
            "model_calls": calls,
            "requests": calls,
            "spans": calls + 1,
        }
        return {**told, **own}

    assert rows == [
        row("POST /ask/{number}", "u-1", 2),
        row("POST /stream", "u-2", 1),
        row("POST /ask/{number}", "u-1", 1),
    ]
    assert sum(one["requests"] for one in rows) == truth

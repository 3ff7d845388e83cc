"""deploy/compose.yaml is what Compose takes, names only what is there, and is closed to the outside."""

import re
import shlex
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

import compose
import helm
from fanlight_collectors.cli.app import app

DEPLOY = compose.FILE.parent
PROJECT = compose.project()
PAGE = DEPLOY.parent / "docs/compose.md"
SERVICES: dict[str, dict[str, Any]] = PROJECT["services"]


def test_it_is_what_the_compose_specification_takes() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", compose.FILE],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.skipif(not compose.LOADER.is_file(), reason="`make compose` builds Compose's loader with Go")
def test_compose_s_own_loader_joins_it_with_the_override_of_the_page(tmp_path: Path) -> None:
    alone = compose.loaded(compose.FILE)["services"]
    assert {name for name, one in SERVICES.items() if "profiles" not in one} <= alone.keys()
    for name, service in alone.items():  # what tests start is what Compose would
        for part in ("entrypoint", "command", "environment", "user", "image"):
            assert service.get(part) == SERVICES[name].get(part), (name, part)
    (override,) = re.findall(r"^```yaml\n(.+?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "compose.override.yaml").write_text(override)
    services = compose.loaded(compose.FILE, tmp_path / "compose.override.yaml")["services"]
    (port,) = services["collector"]["ports"]
    assert (port["host_ip"], port["published"]) == ("0.0.0.0", "4318")
    for name in ("migrations", "queue-folder", "scraper"):
        assert "build" not in services[name]
        assert services[name]["image"] == "registry.example.com/fanlight:0.1.0"
        assert services[name]["read_only"] is True


def test_whatever_a_service_names_is_there() -> None:
    for name, service in SERVICES.items():
        for target, source in compose.mounts(service).items():
            assert source.exists(), f"{name} mounts {source} at {target}"
        volumes = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert {one for one in volumes if not one.startswith(".")} <= PROJECT["volumes"].keys()
        secrets = {one if isinstance(one, str) else one["source"] for one in service.get("secrets", [])}
        assert secrets <= PROJECT["secrets"].keys()
        named = set(re.findall(r"/run/secrets/(\w+)", str(service)))
        assert named <= secrets, name
        if user := service.get("environment", {}).get("CLICKHOUSE_USER"):
            assert f"{user}_password" in secrets, name
        if "build" in service:
            context = DEPLOY / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file()


def test_a_service_waits_for_what_it_needs() -> None:
    for service in SERVICES.values():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in SERVICES
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed]
            if how["condition"] == "service_completed_successfully":
                assert "restart" not in SERVICES[needed]  # it would never have ended
    order = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    for name in ("collector", "scraper", "grafana"):
        assert "migrations" in order[name]
    assert order["migrations"] == {"clickhouse"}


def test_nothing_listens_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(ports) == 5
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports)
    assert all(service.get("network_mode") in (None, "none") for service in SERVICES.values())


def test_every_image_has_a_version_and_the_same_as_elsewhere() -> None:
    images = {name: service["image"] for name, service in SERVICES.items()}
    assert all(re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*", image) for image in images.values()), images
    values = yaml.safe_load((helm.CHART / "values.yaml").read_text())
    assert images["collector"] == values["collector"]["image"]
    (version,) = re.findall(
        r'^version = "(.+)"', (DEPLOY.parent / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert images["migrations"] == f"fanlight:{version}"
    assert images["clickhouse"].startswith(values["clickhouse"]["operator"]["image"])
    builder = yaml.safe_load((DEPLOY / "otelcol/builder.yaml").read_text())
    assert images["collector"].endswith(":" + builder["dist"]["version"])
    plugin = SERVICES["grafana"]["environment"]["GF_PLUGINS_PREINSTALL"]
    assert plugin in (DEPLOY / "grafana/README.md").read_text()


def test_every_secret_is_a_file_that_git_does_not_keep() -> None:
    files = {secret["file"] for secret in PROJECT["secrets"].values()}
    assert all(set(secret) == {"file"} for secret in PROJECT["secrets"].values())
    for file in files:
        told = subprocess.run(["git", "check-ignore", "-q", DEPLOY / file], cwd=DEPLOY, check=False)
        assert told.returncode == 0, f"{file} would be committed"
    for service in SERVICES.values():
        given = {key: value for key, value in service.get("environment", {}).items() if "PASSWORD" in key}
        assert all(value.startswith("/run/secrets/") for value in given.values())


def test_no_service_keeps_rights_that_it_does_not_need() -> None:
    for name, service in SERVICES.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"], name
        assert not service.get("privileged"), name
    of_root = {name for name, service in SERVICES.items() if service.get("user", "0:0").startswith("0:")}
    assert of_root == {"clickhouse", "queue-folder"}
    writing = {name for name, service in SERVICES.items() if not service.get("read_only")}
    assert writing == {"clickhouse", "grafana"}
    able = {name: service.get("cap_add", []) for name, service in SERVICES.items() if name != "clickhouse"}
    assert {name for name, rights in able.items() if rights} == {"queue-folder"}
    assert all(SERVICES[name]["cap_drop"] == ["ALL"] for name in able)


def test_passwords_are_made_once_and_are_their_owner_s(tmp_path: Path) -> None:
    secrets = compose.made_secrets(tmp_path)
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    assert before.keys() == {Path(secret["file"]).name for secret in PROJECT["secrets"].values()}
    words = [text for name, text in before.items() if name != "passwords.xml"]
    assert all(re.fullmatch(r"[0-9a-f]{48}", word) for word in words)
    assert len(set(words)) == len(words)
    assert not any(word in before["passwords.xml"] for word in words)
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o700
    with (secrets / "otel_writer_password").open("a") as edited:
        edited.write("\n")
    compose.made_secrets(tmp_path)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before


def test_the_commands_of_the_page_are_those_that_services_take() -> None:
    page = PAGE.read_text()
    told = set(
        re.findall(r"docker compose run --rm ([^`#\n]+?)(?=  |[`#\n])", page + compose.FILE.read_text())
    )
    assert len(told) >= 4
    for service, *command in map(shlex.split, told):
        assert SERVICES[service]["entrypoint"][-1] == "fanlight"
        parse(command or SERVICES[service]["command"])
    for name in ("migrations", "scraper", "fanlight"):
        parse(SERVICES[name]["command"])


def parse(words: list[str]) -> None:
    """Reads a command line as the real program does, and runs nothing; raises where it would refuse it."""
    command: Any = typer.main.get_command(app)  # click's own, or the one that newer typer brings
    context = None
    while True:
        context = command.make_context(command.name, list(words), parent=context)
        if not hasattr(command, "commands"):
            return
        _, command, words = command.resolve_command(context, [*context._protected_args, *context.args])


@pytest.mark.parametrize("words", ["doktor", "schema apply --nope", "scrape --config"])
def test_a_command_line_that_the_program_refuses_is_noticed(words: str) -> None:
    with pytest.raises(Exception, match=r"No such command|No such option|requires an argument"):
        parse(words.split())

"""The Helm chart renders to whole and safe resources with every example, and refuses what is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import grafana
import helm

if helm.program() is None:  # Go, which builds it, is optional, in CI too
    pytest.skip("Helm is missing; `make helm` builds it where Go is present", allow_module_level=True)

EXAMPLES = sorted(helm.EXAMPLES.glob("*.yaml"))
LEAST = helm.EXAMPLES / "external.yaml"
every_example = pytest.mark.parametrize("values", EXAMPLES, ids=lambda path: path.stem)


def pods(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        found["spec"]["template"]["spec"]
        for found in told
        if found["kind"] in ("StatefulSet", "Deployment", "Job")
    ]


def collector_config(told: list[dict[str, Any]]) -> dict[str, Any]:
    (text,) = [
        found["data"]["config.yaml"]
        for found in told
        if found["kind"] == "ConfigMap" and "config.yaml" in found["data"]
    ]
    config: dict[str, Any] = yaml.safe_load(text)
    return config


@every_example
def test_the_chart_is_free_of_lint(values: Path) -> None:
    done = helm.run("lint", "--strict", str(helm.CHART), "-f", str(values), "--kube-version", helm.KUBERNETES)
    assert done.returncode == 0, done.stdout + done.stderr


@every_example
@pytest.mark.parametrize("kubernetes", ["1.27", "1.30", "1.34"])
def test_every_resource_is_what_kubernetes_takes(values: Path, kubernetes: str) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="`make helm` installs kubernetes-validate")
    for found in helm.resources(helm.rendered(values, kubernetes=kubernetes)):
        if found["kind"] in ("ClickHouseInstallation", "ServiceMonitor"):
            continue  # kinds of an operator
        validate.validate(found, kubernetes, strict=True)


@every_example
def test_no_container_is_root_or_writes_to_its_root(values: Path) -> None:
    for pod in pods(helm.resources(helm.rendered(values))):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]


@every_example
def test_every_image_has_a_version_and_every_password_is_in_a_secret(values: Path) -> None:
    text = helm.rendered(values)
    for pod in pods(helm.resources(text)):
        for container in pod["containers"]:
            version = container["image"].rpartition(":")[2]
            assert version not in ("", "latest")
            assert "/" not in version
            for variable in container.get("env", []):
                assert "secretKeyRef" in variable["valueFrom"]
    assert "kind: Secret" not in text
    assert collector_config(helm.resources(text))["exporters"]["clickhouse"]["password"].startswith("${env:")


@every_example
def test_the_collector_drops_nothing_while_clickhouse_is_away(values: Path) -> None:
    config = collector_config(helm.resources(helm.rendered(values)))
    exporter = config["exporters"]["clickhouse"]
    assert exporter["create_schema"] is False
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"
    assert exporter["sending_queue"]["storage"] in config["service"]["extensions"]
    assert exporter["sending_queue"]["block_on_overflow"] is True
    assert config["extensions"]["file_storage"]["fsync"] is True
    assert config["service"]["pipelines"]["traces"]["processors"][0] == "memory_limiter"


@every_example
def test_what_a_pod_mounts_is_there_and_is_what_its_collector_reads(values: Path) -> None:
    told = helm.resources(helm.rendered(values))
    claims = {
        claim["metadata"]["name"]
        for found in told
        for claim in found.get("spec", {}).get("volumeClaimTemplates", [])
    }
    for pod in pods(told):
        for container in pod["containers"]:
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted <= {volume["name"] for volume in pod.get("volumes", [])} | claims
    text = json.dumps(collector_config(told))
    (pod,) = [pod for pod in pods(told) if pod["containers"][0]["name"] == "collector"]
    paths = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    for path in ("/etc/otelcol/token", "/etc/otelcol/tls"):
        assert (path in paths) == (path in text)


def test_the_dashboards_are_those_of_deploy_grafana() -> None:
    told = helm.resources(helm.rendered(helm.EXAMPLES / "everything.yaml"))
    found = {
        name: json.loads(text)
        for one in told
        if one["kind"] == "ConfigMap" and one["metadata"]["labels"].get("grafana_dashboard") == "1"
        for name, text in one["data"].items()
    }
    assert found == {f"{name}.json": board for name, board in grafana.dashboards().items()}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["image.repository="], "image.repository: build the image"),
        (["clickhouse.host="], "clickhouse.host: where your ClickHouse answers"),
        (["clickhouse.existingSecret="], "clickhouse.existingSecret: a Secret with the keys"),
        (["collector.auth.existingSecret="], "collector.auth.existingSecret: a Secret with the key token"),
        (["scraper.enabled=true"], "scraper.config: which engines and GPUs"),
        (["image.tag=latest"], "/image/tag"),
        (["collector.replicas=0"], "/collector/replicas"),
        (["collector.queue.storage=much"], "/collector/queue/storage"),
        (["clickhouse.operator.shards=2"], "/clickhouse/operator/shards"),
        (["colector.replicas=2"], "colector"),
    ],
)
def test_what_is_missing_or_wrong_is_said(settings: list[str], said: str) -> None:
    with pytest.raises(AssertionError) as refused:
        helm.rendered(LEAST, *(part for setting in settings for part in ("--set", setting)))
    assert said in str(refused.value)


def test_the_plain_manifests_are_those_of_the_chart() -> None:
    assert helm.MANIFESTS.read_text() == helm.manifests()

"""Renders the Helm chart; run as a program, writes deploy/kubernetes/fanlight.yaml.

FANLIGHT_TEST_HELM=.cache/helm python tests/support/helm.py
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "fanlight"
EXAMPLES = ROOT / "deploy" / "helm" / "examples"
MANIFESTS = ROOT / "deploy" / "kubernetes" / "fanlight.yaml"
KUBERNETES = "1.34"
HEADER = """\
# fanlight on Kubernetes without Helm: deploy/helm/fanlight rendered with deploy/helm/examples/external.yaml
# by `make helm`. Change image, host and Secret names to yours. The Job makes the tables; run it first.
"""


def program() -> str | None:
    """Helm, where there is one."""
    here = ROOT / ".cache" / "helm"
    return (
        os.environ.get("FANLIGHT_TEST_HELM") or (str(here) if here.exists() else None) or shutil.which("helm")
    )


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    helm = program()
    assert helm is not None
    return subprocess.run([helm, *arguments], capture_output=True, text=True, timeout=120, check=False)


def rendered(values: Path | None, *settings: str, kubernetes: str = KUBERNETES) -> str:
    """The manifests; AssertionError with Helm's words where it refuses."""
    files = ["-f", str(values)] if values else []
    done = run("template", "fanlight", str(CHART), "--kube-version", kubernetes, *files, *settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def resources(text: str) -> list[dict[str, Any]]:
    return [found for found in yaml.safe_load_all(text) if found]


def manifests() -> str:
    return HEADER + rendered(EXAMPLES / "external.yaml")


if __name__ == "__main__":
    MANIFESTS.parent.mkdir(exist_ok=True)
    MANIFESTS.write_text(manifests())

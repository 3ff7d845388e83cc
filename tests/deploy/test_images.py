"""The image holds the whole of fanlight and nothing else, and runs as nobody in particular.

No Docker engine runs here: the build's own steps are checked, on the files that it would get.
"""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "deploy" / "images"
DOCKERFILE = (IMAGES / "Dockerfile").read_text()


def copied() -> list[str]:
    """What the build takes from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, flags=re.MULTILINE)
    return [name for line in lines for name in line.split()[:-1]]


def test_every_base_has_a_version_and_the_user_is_none_that_rules() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base) for base in bases)
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert re.findall(r"^USER (\S+)", last, flags=re.MULTILINE) == ["10001:10001"]
    assert "apt-get" not in last
    assert "gcc" not in DOCKERFILE


def test_only_what_is_copied_is_sent_to_the_build() -> None:
    allowed = re.findall(r"^!(\S+)", (IMAGES / "Dockerfile.dockerignore").read_text(), flags=re.MULTILINE)
    assert sorted(allowed) == sorted(copied())
    assert all((ROOT / name).exists() for name in allowed)


def test_what_is_copied_builds_a_wheel_with_every_file_of_the_packages(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in copied():
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, source],
        check=True,
        timeout=200,
    )
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    packages = (
        "tracer/fanlight",
        "collectors/fanlight_collectors",
        "schema/fanlight_schema",
    )
    there = {
        str(path.relative_to((source / package).parent))
        for package in packages
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    assert held == there

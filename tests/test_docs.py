"""What the documents say is what the code does."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
FANLIGHT = [sys.executable, "-m", "fanlight_collectors.cli"]


def blocks(language: str) -> list[str]:
    """The fenced blocks of the README in this language; every second fence closes one."""
    fenced = re.split(r"^```", README, flags=re.MULTILINE)[1::2]
    return [block.partition("\n")[2] for block in fenced if block.partition("\n")[0] == language]


@pytest.mark.parametrize("name", ["settings", "tokens", "endpoints"])
def test_page_is_what_the_code_declares(name: str) -> None:
    made = subprocess.run(
        [sys.executable, ROOT / f"docs/make_{name}.py"], check=True, capture_output=True, text=True
    ).stdout
    assert (ROOT / f"docs/{name}.md").read_text() == made, f"run: python docs/make_{name}.py > docs/{name}.md"


def test_python_of_the_readme_uses_names_that_fanlight_has() -> None:
    import fanlight

    used = {
        node.attr
        for block in blocks("python")
        for node in ast.walk(ast.parse(block))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "fanlight"
    }
    assert used
    assert used <= set(fanlight.__all__)


def test_commands_of_the_readme_exist() -> None:
    lines = [line for block in blocks("") for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", README)
    commands = {line.split()[1] for line in lines if re.match(r"fanlight [a-z]", line)}
    assert commands >= {"up", "run", "demo", "stats", "trace", "sql", "import", "schema"}
    for command in sorted(commands):
        shown = subprocess.run([*FANLIGHT, command, "--help"], capture_output=True, text=True, check=False)
        assert shown.returncode == 0, f"fanlight {command}: {shown.stderr}"


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_of_the_readme_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_make_targets_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    text = README + (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, flags=re.MULTILINE))
    assert {"demo", "test"} <= named <= targets

"""What the documents say is what the code does."""

import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "deploy").rglob("*.md"))]
# What one part of fanlight tells another, and what a developer sets.
INTERNAL = {
    "FANLIGHT_DEBUG",
    "FANLIGHT_SQL_TOKEN",
    "FANLIGHT_TEST_DATA",
    "FANLIGHT_TEST_HELM",
    "FANLIGHT_TRACE_ON_IMPORT",
}
FANLIGHT = [sys.executable, "-m", "fanlight_collectors.cli"]


def blocks(language: str, text: str = README) -> list[str]:
    """The fenced blocks of a page in this language; every second fence closes one."""
    fenced = re.split(r"^ *```", text, flags=re.MULTILINE)[1::2]
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


@functools.cache
def help_of(*command: str) -> str:
    shown = subprocess.run([*FANLIGHT, *command, "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, f"fanlight {' '.join(command)}: {shown.stderr}"
    return shown.stdout


def test_commands_of_the_documents_exist() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    lines = [line.strip() for block in blocks("", text) for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", text)
    told = [line.partition("#")[0].split() for line in lines if re.match(r"fanlight [a-z]", line)]
    assert {words[1] for words in told} >= {"up", "run", "demo", "stats", "trace", "sql", "import", "schema"}
    groups = {"schema", "rates"}
    for words in told:
        own = words[: words.index("--")] if "--" in words else words
        command = own[1:3] if own[1] in groups and own[2:] and own[2].isalpha() else own[1:2]
        flags = {word.partition("=")[0] for word in own if re.fullmatch(r"--[a-z-]+(=.*)?", word)}
        shown = help_of(*command)
        assert all(flag in shown for flag in flags), f"{' '.join(words)}: {sorted(flags)}"


@pytest.mark.parametrize(
    ("page", "link"),
    [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text())],
    ids=lambda part: part.name if isinstance(part, Path) else part,
)
def test_links_of_the_documents_lead_somewhere(page: Path, link: str) -> None:
    assert (page.parent / link).exists()


def test_settings_that_a_text_names_exist() -> None:
    folders = ("README.md", "docs", "deploy", "tracer", "collectors", "schema")
    sources = [path for name in folders for path in [ROOT / name, *(ROOT / name).rglob("*")]]
    named: dict[str, str] = {}
    for path in sources:
        if path.suffix in (".py", ".md", ".yaml", ".sql") and path.is_file():
            for name in re.findall(r"\bFANLIGHT_[A-Z_]+\b", path.read_text()):
                named.setdefault(name, str(path.relative_to(ROOT)))
    told = set(re.findall(r"`(FANLIGHT_[A-Z_]+)`", (ROOT / "docs/settings.md").read_text()))
    unknown = {name: path for name, path in named.items() if name not in told | INTERNAL}
    assert not unknown


def test_make_targets_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    text = (ROOT / "CONTRIBUTING.md").read_text() + "".join(page.read_text() for page in PAGES)
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, flags=re.MULTILINE))
    assert {"demo", "test"} <= named <= targets

"""Help texts from docstrings: paragraphs are reflowed, indented lines (the examples) stay as they are."""

import inspect
from collections.abc import Callable


def help_text(function: Callable[..., object]) -> str:
    """A command's help: its docstring with every paragraph on one line, safe for rich's markup."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    first, *rest = (_reflow(paragraph).replace("[", "\\[") for paragraph in paragraphs)
    # Typer dedents what follows by all its lines but the first; an empty first one saves the indent.
    return first + "\n\n\n" + "\n\n".join(rest) if rest else first


def _reflow(paragraph: str) -> str:
    joined: list[str] = []
    for line in paragraph.split("\n"):
        if joined and not line.startswith(" ") and not joined[-1].startswith(" "):
            joined[-1] += f" {line}"
        else:
            joined.append(line)
    return "\n".join(joined)

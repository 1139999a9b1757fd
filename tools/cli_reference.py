"""Writes docs/reference/cli.md from the commands' own help.

With `--check` it writes nothing, names the page on stderr when it differs and exits with 1.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import typer.main
from typer.core import TyperCommand, TyperGroup, TyperOption

from headgate.cli.program import program

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = "docs/reference/cli.md"
TOP: Final = ROOT / "tools" / "cli_reference.md"
"""The beginning of the page, before the list of commands."""


def main() -> int:
    """Writes the page; with `--check` it only reports whether the page differs."""
    path = ROOT / PAGE
    text = page()
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        sys.stderr.write(f"cli_reference: {PAGE} is out of step\n")
        return 1
    path.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    """Returns the whole page."""
    lines = [TOP.read_text(encoding="utf-8").rstrip("\n")]
    root = typer.main.get_command(program())
    if isinstance(root, TyperGroup):
        lines += ["", "## headgate", "", *overview(root)]
    for name, command in commands(root, "headgate"):
        lines += ["", f"## {name}", "", *chapter(name, command)]
    return "\n".join(lines) + "\n"


def commands(command: object, name: str) -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    """Yields every command with its full name, those of groups after the others; a group is a
    command, too, if it does something by itself."""
    if isinstance(command, TyperCommand):
        yield name, command
    if not isinstance(command, TyperGroup):
        return
    if command.invoke_without_command:
        yield name, command
    below = sorted(command.commands.items(), key=lambda item: isinstance(item[1], TyperGroup))
    for word, one in below:
        yield from commands(one, f"{name} {word}")


def chapter(name: str, command: TyperCommand | TyperGroup) -> Iterator[str]:
    """Yields usage, description, examples and options of one command."""
    context = typer.Context(command, info_name=name)
    yield "```text"
    yield " ".join([name, *command.collect_usage_pieces(context)])
    yield "```"
    yield ""
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        yield from _paragraph(paragraph)
    yield from _table(context, command)


def overview(root: TyperGroup) -> Iterator[str]:
    """Yields usage and options of the program itself."""
    context = typer.Context(root, info_name="headgate")
    yield "```text"
    yield "headgate [OPTIONS] COMMAND [ARGS]..."
    yield "```"
    yield ""
    yield f"{root.help} Every command has `--help`, too."
    yield ""
    yield from _table(context, root)


def _table(context: typer.Context, command: TyperCommand | TyperGroup) -> Iterator[str]:
    """Yields the options of a command, if it has any."""
    options = [one for one in command.params if isinstance(one, TyperOption) and one.help]
    if options:
        yield "| option | default | meaning |"
        yield "|---|---|---|"
        yield from (_option(context, one) for one in options)


def _paragraph(text: str) -> Iterator[str]:
    """Yields a paragraph as Markdown; one with the mark
    that keeps its lines becomes a code block.
    """
    if not text.startswith("\b"):
        yield text
        yield ""
        return
    title, *lines = text.removeprefix("\b").strip("\n").split("\n")
    yield title
    yield ""
    yield "```text"
    yield from (line.removeprefix("  ") for line in lines)
    yield "```"
    yield ""


def _option(context: typer.Context, option: TyperOption) -> str:
    record = option.get_help_record(context) or ("", "")
    meaning, _, said = (option.help or "").replace("|", "\\|").partition(" [default: ")
    default = said.rstrip("]") or option.default
    if isinstance(default, bool):
        default = option.opts[0] if default else None
    shown = "" if default is None else f"`{default}`"
    if option.envvar:
        names = [option.envvar] if isinstance(option.envvar, str) else option.envvar
        meaning += f" Without it: the variable {', else '.join(f'`{name}`' for name in names)}."
    names = record[0].replace("|", "\\|")
    return f"| `{names}` | {shown} | {meaning} |"


if __name__ == "__main__":
    sys.exit(main())

"""The commands that bring documents to a master and back."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.output import BAD_CONFIG
from headgate.cli.remote.output import Output, Shape
from headgate.cli.remote_commands import ContextName, opened

if TYPE_CHECKING:
    from headgate.cli.remote.documents import Gathered

Files = Annotated[
    list[Path],
    typer.Option(
        "--file", "-f", metavar="PATH", parser=Path, help="A document, or a directory of them."
    ),
]


def apply(
    file: Files,
    preview: Annotated[
        bool, typer.Option("--preview", help="Show what would change, and change nothing.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Remove what you wrote last and the documents lack."),
    ] = False,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Bring the resources of a workspace to what documents say.

    Doing it twice changes nothing. With --prune, objects that the documents lack are removed, if
    nobody but you has written them since. If the whole config would not be valid, nothing changes,
    and the exit code is 78.

    \b
    Examples:
      headgate apply -f config/ --preview
      headgate apply -f config/ --prune
    """
    from headgate.cli.remote import applying
    from headgate.cli.remote.output import show_object

    gathered = _gathered(file)
    master = opened(context)
    owner = str(master.get("/auth/me")["id"])
    wanted = {key: one.spec for key, one in gathered.resources.items()}
    found = applying.changes(wanted, applying.present(master), owner, prune=prune)
    said = applying.preview(master, found) if found else {}
    _tell(said.get("warnings"), "warning")
    if _tell(said.get("errors"), "error"):
        raise typer.Exit(BAD_CONFIG)
    if not preview:
        applying.carry_out(master, found)
    done = [{"change": one.word, "kind": one.kind, "name": one.name} for one in found]
    if output is not Shape.TABLE:
        show_object({"changes": done, "is_preview": preview}, output)
        return
    for one in done:
        sys.stdout.write(f"{one['change']:8} {one['kind']}/{one['name']}\n")
    if not done:
        sys.stdout.write("everything is as the documents say\n")


def export(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", parser=Path, help="Where to write the documents.")
    ],
    context: ContextName = "",
) -> None:
    """Write the resources of a workspace as documents, one for each.

    \b
    Example:
      headgate export config/ && headgate apply -f config/ --preview
    """
    from headgate.cli.output import complain
    from headgate.cli.remote import applying

    try:
        count = applying.write_out(applying.present(opened(context)), folder)
    except OSError as error:
        raise complain(f"{error.filename} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"{count} documents are in {folder}\n")


def _gathered(files: Sequence[Path]) -> "Gathered":
    from headgate.cli.output import complain
    from headgate.cli.remote.documents import gather
    from headgate.kernel.diagnostics import render_text

    try:
        found = gather(files)
    except OSError as error:
        raise complain(f"{error.filename} cannot be read: {error.strerror}", BAD_CONFIG) from error
    if found.wrong:
        sys.stderr.write(render_text(found.wrong))
        raise typer.Exit(BAD_CONFIG)
    return found


def _tell(faults: object, word: str) -> bool:
    """Prints what a preview found; returns whether there was anything."""
    listed = faults if isinstance(faults, list) else []
    for fault in listed:
        if isinstance(fault, Mapping):
            allowed = f"; {fault['allowed']}" if fault.get("allowed") else ""
            text = f"{word}: {fault.get('path')}: {fault.get('detail')}{allowed}\n"
            sys.stderr.write(text)
    return bool(listed)


COMMANDS = (apply, export)

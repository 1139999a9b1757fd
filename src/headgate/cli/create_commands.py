"""The commands that make what a workspace's config is not: workspaces, fleets, secrets."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.remote.output import Output, Shape
from headgate.cli.remote_commands import ContextName, opened
from headgate.cli.token_commands import Label, labels

if TYPE_CHECKING:
    from headgate.cli.remote.client import Json

create_app = typer.Typer(
    name="create", help="Create a workspace, a fleet or a secret file.", no_args_is_help=True
)
_Name = Annotated[str, typer.Argument(metavar="NAME", help="The name of the new object.")]


@create_app.command("workspace")
def create_workspace(
    name: _Name,
    organisation: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The organisation; without it, the only one that you belong to."
        ),
    ] = "",
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Create a workspace, which has its own config and fleets.

    \b
    Example:
      headgate create workspace shop && headgate context use default --workspace shop
    """
    from headgate.cli.remote.kinds import chosen_organisation

    master = opened(context)
    path = f"/organisations/{chosen_organisation(master, organisation)['id']}/workspaces"
    _show(master.ask("POST", path, {"name": name}), "workspace", output)


@create_app.command("fleet")
def create_fleet(
    name: _Name,
    engine: Annotated[
        str, typer.Option(help="The engine of its agents: native, nginx or any.")
    ] = "any",
    label: Label = None,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Create a fleet: agents that serve the same config.

    \b
    Example:
      headgate create fleet edge --engine nginx --label tier=front
    """
    master = opened(context)
    body = {"name": name, "engine": engine, "labels": labels(label or [])}
    path = f"/workspaces/{master.workspace}/fleets"
    _show(master.ask("POST", path, body), "fleet", output)


@create_app.command("secret")
def create_secret(
    name: _Name,
    file: Annotated[
        Path | None,
        typer.Option(
            "--from-file",
            metavar="PATH",
            parser=Path,
            help="A file with the content; without it, standard input.",
        ),
    ] = None,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Write a secret file, such as a key; its content is never shown again.

    Configs refer to it as secrets/NAME. An existing secret of that name is replaced.

    \b
    Example:
      headgate create secret site.key --from-file tls/site.key
    """
    from urllib.parse import quote

    from headgate.cli.output import complain

    try:
        content = sys.stdin.read() if file is None else file.read_text(encoding="utf-8")
    except OSError as error:
        raise complain(f"{error.filename} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise complain(f"{file or 'standard input'} is not text; give a PEM file") from error
    master = opened(context)
    path = f"/workspaces/{master.workspace}/secrets/{quote(name, safe='')}"
    _show(master.ask("PUT", path, {"content": content}), "secret", output)


def _show(made: "Json", word: str, output: Shape) -> None:
    from headgate.cli.remote.output import show_object

    if output is Shape.TABLE:
        sys.stdout.write(f"{word} {made['name']} is made\n")
    else:
        show_object(made, output)


APPS = (create_app,)

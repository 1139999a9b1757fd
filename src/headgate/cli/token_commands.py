"""The commands of secrets that let programs and nodes in: API tokens and join tokens."""

import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from headgate.cli.remote.output import Output, Shape
from headgate.cli.remote_commands import ContextName, FleetArgument, opened

tokens_app = typer.Typer(
    name="tokens",
    help="Manage API tokens, which programs log in with, and join tokens, which nodes enrol with.",
    no_args_is_help=True,
)
Label = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=VALUE", help="A label; may be repeated."),
]


@tokens_app.command("list")
def list_tokens(
    join: Annotated[
        bool, typer.Option("--join", help="List the join tokens of the workspace.")
    ] = False,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """List the API tokens, or the join tokens, without their secrets.

    \b
    Examples:
      headgate tokens list
      headgate tokens list --join --output json
    """
    from headgate.cli.remote import kinds
    from headgate.cli.remote.output import show_list

    kind = kinds.kind_named("join-tokens" if join else "tokens")
    show_list(list(kinds.items(kind, opened(context))), kind.columns, output)


@tokens_app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The token's name.")],
    role: Annotated[
        str, typer.Option(help="The role: viewer, operator, approver or admin.")
    ] = "viewer",
    workspace: Annotated[
        str, typer.Option(metavar="ID", help="The workspace; without it, the whole organisation.")
    ] = "",
    days: Annotated[int, typer.Option(min=1, max=366, help="How long the token is valid.")] = 90,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Create an API token, and print its secret once.

    \b
    Example:
      headgate tokens create ci --role operator --days 30 > token
    """
    body = {"name": name, "role": role, "workspace": workspace, "days": days}
    _show_once(opened(context).ask("POST", "/tokens", body), "secret", output)


@tokens_app.command("join")
def create_join_token(
    fleet: FleetArgument,
    uses: Annotated[int, typer.Option(min=1, help="How many nodes may enrol with the token.")] = 1,
    hours: Annotated[int, typer.Option(min=1, help="How long the token is valid.")] = 24,
    label: Label = None,
    address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CIDR", help="A network from which the token may be used; may be repeated."
        ),
    ] = None,
    data_plane: Annotated[
        str,
        typer.Option(
            metavar="AGENT",
            help="The agent whose data plane the holder becomes, by name or id.",
        ),
    ] = "",
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """Create a token with which nodes join a fleet, and print it once.

    With --data-plane the holder does not become an agent: `headgate dataplane` gets certificates of
    the fleet's CA with it, for the control link to that agent.

    \b
    Examples:
      headgate tokens join edge
      headgate tokens join edge --uses 20 --hours 2 --label zone=east
      headgate tokens join edge --data-plane control-1
    """
    from headgate.cli.remote import kinds

    body: dict[str, object] = {
        "fleet": fleet,
        "uses": uses,
        "hours": hours,
        "labels": labels(label or []),
        "addresses": address or [],
    }
    master = opened(context)
    if data_plane:
        body["data_plane_of"] = kinds.find(kinds.kind_named("agent"), data_plane, master)["id"]
    made = master.ask("POST", f"/workspaces/{master.workspace}/join-tokens", body)
    _show_once(made, "token", output)


@tokens_app.command("revoke")
def revoke_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The token's name or id.")],
    join: Annotated[bool, typer.Option("--join", help="Revoke a join token.")] = False,
    context: ContextName = "",
) -> None:
    """Revoke a token at once. Agents that enrolled with a join token stay.

    \b
    Examples:
      headgate tokens revoke ci
      headgate tokens revoke --join 01M3K9…
    """
    from headgate.cli.remote_commands import delete

    delete("join-token" if join else "token", name, context=context)


def labels(texts: list[str]) -> dict[str, str]:
    """Returns labels as the API takes them; one without `=` is a usage error."""
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f'"{text}" is not a label; write NAME=VALUE')
        found[name] = value
    return found


def _show_once(made: Mapping[str, object], secret: str, output: Shape) -> None:
    """Prints the secret alone, or with `--output` everything."""
    from headgate.cli.remote.output import show_object

    if output is Shape.TABLE:
        sys.stdout.write(f"{made[secret]}\n")
    else:
        show_object(made, output)


APPS = (tokens_app,)

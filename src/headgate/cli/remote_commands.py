"""The commands that talk to a master: who a person is there, and what is there."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli import offers
from headgate.cli.output import printable_text
from headgate.cli.remote.output import Output, Shape

if TYPE_CHECKING:
    from headgate.cli.remote.client import Master

ContextName = Annotated[
    str,
    typer.Option(
        "--context",
        envvar="HEADGATE_CONTEXT",
        metavar="NAME",
        help="The context to use, instead of the current one.",
        autocompletion=offers.contexts,
    ),
]
KindName = Annotated[
    str,
    typer.Argument(
        metavar="KIND",
        help="The kind, such as fleets, agents, revisions, rollouts, tokens, or a section of the "
        "config, such as routes.",
        autocompletion=offers.kinds,
    ),
]
Filters = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="NAME=VALUE",
        help="Show only objects that this chooses, such as state=away or name_prefix=shop; may be "
        "given more than once.",
    ),
]
FleetArgument = Annotated[str, typer.Argument(metavar="FLEET", help="The fleet's name or id.")]
FleetName = Annotated[
    str, typer.Option("--fleet", metavar="NAME", help="Show only objects of this fleet.")
]


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="The master's address.")],
    user: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The user; without it, the command asks for one."),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    token_stdin: Annotated[
        bool, typer.Option("--token-stdin", help="Read an API token from standard input.")
    ] = False,
    context: Annotated[
        str, typer.Option(metavar="NAME", help="The name of the context that this creates.")
    ] = "default",
    workspace: Annotated[
        str, typer.Option(metavar="NAME", help="The workspace that commands use.")
    ] = "",
    ca: Annotated[
        str, typer.Option(metavar="FILE", help="CA certificates to trust, instead of the system's.")
    ] = "",
) -> None:
    """Log in to a master, and make it the current context.

    The context keeps tokens in a file that only you can read.

    \b
    Examples:
      headgate login http://127.0.0.1:8080 --user ann
      headgate login https://master.example --token-stdin --context ci < token
    """
    from headgate.cli.remote import client, contexts

    file = contexts.place(os.environ)
    contexts.load(file)  # what is wrong with it is said before anybody is asked
    # Later commands run in other directories, where this name may be of another file.
    ca = str(Path(ca).absolute()) if ca else ""
    found = contexts.Context(client.checked_url(url), "", workspace=workspace, authority=ca)
    if token_stdin:
        found = contexts.Context(found.url, sys.stdin.readline().strip(), "", workspace, ca)
    else:
        name = user or typer.prompt("User", err=True)
        secret = sys.stdin.readline().rstrip("\n") if password_stdin else _asked()
        found = client.log_in(found, name, secret)
    me, found = client.introduced(found)
    contexts.change(file, lambda known: known.holding(context, found))
    sys.stdout.write(f'{me} is logged in to {found.url}; context "{context}"\n')


def _asked() -> str:
    return str(typer.prompt("Password", hide_input=True, err=True))


def logout(context: ContextName = "") -> None:
    """End the session of a context, and remove the context.

    \b
    Example:
      headgate logout
    """
    from headgate.cli.remote import client, contexts
    from headgate.cli.remote.errors import ContextError, MasterError

    file = contexts.place(os.environ)
    known = contexts.load(file)
    name = context or known.current
    found = known.named(name)
    if found.refresh_token:
        try:
            client.Master(found, name=name).ask("POST", "/auth/logout")
        except (ContextError, MasterError) as error:
            # The tokens are forgotten here in any case; they expire by themselves.
            sys.stderr.write(printable_text(f"headgate: the session was not ended: {error}\n"))
    contexts.change(file, lambda known: known.without(name))


def get(
    kind: KindName,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The name or id of one object.")
    ] = None,
    fleet: FleetName = "",
    filters: Filters = None,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """List the objects of a kind, or show one.

    The filters of a kind are the query parameters of its list in the REST API; an unknown one is
    refused, with those that there are.

    \b
    Examples:
      headgate get tokens
      headgate get revisions --fleet edge
      headgate get routes --filter set=shop --filter name_prefix=api
      headgate get routes api --output yaml
    """
    from headgate.cli.remote import kinds
    from headgate.cli.remote.output import show_list

    master = opened(context)
    found = kinds.kind_named(kind)
    if name is None:
        shown = list(kinds.items(found, master, fleet, filters or ()))
        show_list(shown, found.columns, output)
    else:
        show_list([kinds.find(found, name, master, fleet, filters or ())], found.columns, output)


def describe(
    kind: KindName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The object's name or id.")],
    fleet: FleetName = "",
    context: ContextName = "",
    output: Output = Shape.YAML,
) -> None:
    """Show everything that the master knows about one object.

    \b
    Examples:
      headgate describe route api
      headgate describe revision 12 --fleet edge
    """
    from headgate.cli.remote import kinds
    from headgate.cli.remote.output import show_object

    master = opened(context)
    found = kinds.kind_named(kind)
    one = kinds.find(found, name, master, fleet)
    if not found.is_only_listed:
        one = master.get(kinds.path_of_one(found, one, master))
    show_object(one, output)


def delete(
    kind: KindName,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The object's name or id.")],
    set_name: Annotated[
        str,
        typer.Option(
            "--set",
            metavar="NAME",
            help='The set that the object belongs to, unless it is "default".',
        ),
    ] = "",
    context: ContextName = "",
) -> None:
    """Remove one object, or revoke one token.

    \b
    Examples:
      headgate delete token ci
      headgate delete route api --set shop
    """
    from headgate.cli.remote import client, kinds

    master = opened(context)
    found = kinds.kind_named(kind)
    kinds.removable(found)
    own = kinds.set_query(found, set_name)
    one = kinds.find(found, name, master)
    headers = {} if found.is_revoked or "version" not in one else client.only(client.tag_of(one))
    master.ask("DELETE", kinds.path_of_one(found, one, master), query=own, headers=headers)
    sys.stdout.write(f"{found.singular} {name} is removed\n")


def agents(
    fleet: FleetName = "",
    filters: Filters = None,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """List the agents of the workspace, with what each is proven to serve.

    \b
    Examples:
      headgate agents --output json
      headgate agents --fleet edge --filter state=away --filter label=zone=east
    """
    get("agents", None, fleet, filters, context, output)


def audit(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The number of lines.")] = 50,
    filters: Filters = None,
    is_of_master: Annotated[
        bool,
        typer.Option(
            "--master",
            help="List what concerns the whole master: new organisations, rotations, failed logins."
            " For administrators of the master.",
        ),
    ] = False,
    context: ContextName = "",
    output: Output = Shape.TABLE,
) -> None:
    """List who changed what, newest first.

    \b
    Examples:
      headgate audit --limit 10
      headgate audit --filter action=DELETE --filter since=2026-03-02T00:00:00Z
      headgate audit --master --filter outcome=refused
    """
    from headgate.cli.remote import kinds
    from headgate.cli.remote.output import show_list

    found = kinds.kind_named("master-audit" if is_of_master else "audit")
    query = kinds.query_of(found, "", filters or ())
    items = opened(context).get(found.path, limit=limit, **query).get("items")
    show_list(items if isinstance(items, list) else [], found.columns, output)


def opened(context: str = "") -> "Master":
    """Returns the master of a context; raises ContextError."""
    from headgate.cli.remote import client, contexts

    known = contexts.load(contexts.place(os.environ))
    name = context or known.current
    return client.Master(known.named(name), name=name)


contexts_app = typer.Typer(
    name="context", help="Manage the masters that you are logged in to.", no_args_is_help=True
)


@contexts_app.command("list")
def list_contexts(output: Output = Shape.TABLE) -> None:
    """List the contexts, without their tokens.

    \b
    Example:
      headgate context list
    """
    from headgate.cli.remote import contexts
    from headgate.cli.remote.output import show_list

    known = contexts.load(contexts.place(os.environ))
    rows = [
        {
            "name": name,
            "url": one.url,
            "workspace": one.workspace,
            "current": name == known.current,
        }
        for name, one in sorted(known.contexts.items())
    ]
    show_list(rows, ("current", "name", "url", "workspace"), output)


@contexts_app.command("use")
def use_context(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the context.")],
    workspace: Annotated[
        str | None, typer.Option(metavar="NAME", help="The workspace that commands use.")
    ] = None,
) -> None:
    """Make a context the current one.

    \b
    Example:
      headgate context use ci --workspace shop
    """
    import msgspec

    from headgate.cli.remote import contexts

    def chosen(known: contexts.Contexts) -> contexts.Contexts:
        known = known.using(name)
        if workspace is None:
            return known
        changed = msgspec.structs.replace(known.named(name), workspace=workspace)
        return known.holding(name, changed)

    contexts.change(contexts.place(os.environ), chosen)


COMMANDS = (login, logout, get, describe, delete, agents, audit)
APPS = (contexts_app,)

"""The command that says which route takes a request: at a node, by files, or by a master."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from headgate.cli.config_commands import ConfigOption, MasterContext
from headgate.cli.output import Format, Output
from headgate.cli.places import InstanceName, NodeName, StateDir, node_dir

if TYPE_CHECKING:
    from headgate.compile.routing import Question

Request = Annotated[
    list[str], typer.Argument(help="[METHOD] URL", metavar="[METHOD] URL", show_default=False)
]
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header of the request."),
]
ServerName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="The server name that a TLS or QUIC client asks for (tcp://, udp://)."
    ),
]
AgentName = Annotated[
    str,
    typer.Option("--agent", metavar="NAME", help="Ask a master about what this agent serves."),
]
OfResources = Annotated[
    bool,
    typer.Option(
        "--resources",
        help="With --agent: ask about what it would get if the resources were published now.",
    ),
]


def explain(
    request: Request,
    config: ConfigOption = None,
    header: Headers = None,
    client: Annotated[str, typer.Option(help="The client's address.")] = "127.0.0.1",
    listener: Annotated[
        str | None, typer.Option(help="The listener that gets the request.")
    ] = None,
    sni: ServerName = None,
    alpn: Annotated[
        list[str] | None,
        typer.Option(metavar="PROTOCOL", help="A protocol that a TLS client offers (tcp://)."),
    ] = None,
    client_subject: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The subject of the client's certificate (RFC 4514)."),
    ] = None,
    client_san: Annotated[
        list[str] | None,
        typer.Option(metavar="TYPE:NAME", help="A SAN of that certificate, such as dns:a.example."),
    ] = None,
    client_fingerprint: Annotated[
        str | None, typer.Option(metavar="HEX", help="The SHA-256 of that certificate.")
    ] = None,
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    agent: AgentName = "",
    resources: OfResources = False,
    context: MasterContext = "",
    output: Output = Format.TEXT,
) -> None:
    """Show which route a request takes and why, and which routes nearly took it.

    With tcp://HOST:PORT it shows the TCP route of a connection, with udp://HOST:PORT the UDP route
    of a client's datagrams.
    The answer comes from a running node, with --config from files, and with --agent from a master:
    from what the agent of that name or id serves, or with --resources from what it would get now.

    \b
    Examples:
      headgate explain GET https://shop.example.com/cart -H 'x-tenant: a'
      headgate explain http://127.0.0.1:8000/ --config headgate.toml --output json
      headgate explain tcp://127.0.0.1:5443 --sni shop.example.com
      headgate explain udp://127.0.0.1:53 --client 192.0.2.7
      headgate explain udp://127.0.0.1:443 --sni shop.example.com
      headgate explain https://shop.example.com/staff --client-subject CN=alice
      headgate explain https://shop.example.com/cart --agent edge-1 --resources
    """
    from headgate.cli import explain as explainer
    from headgate.kernel.errors import Invalid

    try:
        asked = explainer.question(request, header or (), client, listener, sni, alpn or ())
        asked = explainer.certified(asked, client_subject, client_san or (), client_fingerprint)
    except Invalid as error:
        raise typer.BadParameter(str(error)) from error
    if (agent and config) or (resources and not agent):
        raise typer.BadParameter("--resources needs --agent, and --agent needs no files")
    if agent:
        code = _explain_at(asked, agent, context, output, resources=resources)
    elif config:
        code = explainer.explain(asked, config, output.value, stream=sys.stdout, errors=sys.stderr)
    else:
        place, shown = node_dir(state, node, instance), {"stream": sys.stdout, "errors": sys.stderr}
        code = explainer.explain_running(asked, place, output.value, **shown)
    raise typer.Exit(code)


def _explain_at(
    asked: "Question", agent: str, context: str, output: Output, *, resources: bool
) -> int:
    from headgate.cli.remote import explaining
    from headgate.cli.remote_commands import opened

    config: Literal["serving", "resources"] = "resources" if resources else "serving"
    return explaining.explain(opened(context), asked, agent, config, output.value)


COMMANDS = (explain,)

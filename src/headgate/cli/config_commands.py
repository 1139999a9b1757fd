"""The commands about a config: nothing runs, nothing is changed."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.output import Format, Output
from headgate.cli.places import Configs, Engine, NodeName, StateDir, state_dir

if TYPE_CHECKING:
    from collections.abc import Callable

    from headgate.compile.loaded import Loaded
    from headgate.kernel.diagnostics import Diagnostic

ConfigOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--config", "-c", help="A config file or directory.", metavar="CONFIG", parser=Path
    ),
]

ComparedFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="PATH",
        parser=Path,
        help="Documents to compare with what a master has.",
    ),
]
MasterContext = Annotated[
    str,
    typer.Option(
        "--context", envvar="HEADGATE_CONTEXT", metavar="NAME", help="The master's context."
    ),
]


def check(
    configs: Configs = None,
    engine: Annotated[
        Engine | None, typer.Option(help="The engine to check for, in place of `node.engine`.")
    ] = None,
    quarantine: Annotated[
        bool,
        typer.Option(
            "--quarantine",
            help="Judge the files as those of a provider, such as a master: an object with an "
            "error is quarantined alone.",
        ),
    ] = False,
    output: Output = Format.TEXT,
) -> None:
    """List every error in a config, and warn about probable mistakes.

    The exit code is 78 if a node would refuse the config. If the engine is nginx, the nginx of
    this host is asked what it accepts. Without CONFIG, the environment variables are checked.

    \b
    Examples:
      headgate check headgate.toml --output json
      headgate check headgate.toml --engine nginx
    """
    from headgate.cli.check import check as judge
    from headgate.compile.routing import shadows
    from headgate.compile.sources import Given, Trust

    if quarantine and not configs:
        raise typer.BadParameter("name the files", param_hint="CONFIG")

    given: list[Path | Given] = [*(configs or [])]
    if quarantine:
        given = [Given(path, Trust.QUARANTINE) for path in configs or []]
    raise typer.Exit(
        judge(
            given,
            output.value,
            shadows=shadows,
            objections=_objections(engine),
            stream=sys.stdout,
        )
    )


def _objections(engine: Engine | None) -> "Callable[[Loaded], tuple[Diagnostic, ...]]":
    """Returns a function that lists what the chosen engine,
    or else the config's engine, refuses.
    """

    def found(loaded: "Loaded") -> "tuple[Diagnostic, ...]":
        chosen = engine or (loaded.node.engine if loaded.node is not None else Engine.NATIVE)
        if chosen != Engine.NGINX:
            return ()
        from headgate.cli.nginx.rendering import refused

        return refused(loaded)

    return found


def explain(
    request: Annotated[
        list[str], typer.Argument(help="[METHOD] URL", metavar="[METHOD] URL", show_default=False)
    ],
    config: ConfigOption = None,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="A header of the request."),
    ] = None,
    client: Annotated[str, typer.Option(help="The client's address.")] = "127.0.0.1",
    listener: Annotated[
        str | None, typer.Option(help="The listener that gets the request.")
    ] = None,
    sni: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The server name that a TLS client asks for (tcp://)."),
    ] = None,
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
        typer.Option(metavar="TYPE:NAME", help="An alternative name of it, such as dns:a.example."),
    ] = None,
    client_fingerprint: Annotated[
        str | None, typer.Option(metavar="HEX", help="The SHA-256 of it.")
    ] = None,
    state: StateDir = None,
    node: NodeName = None,
    output: Output = Format.TEXT,
) -> None:
    """Show which route a request takes and why, and which routes nearly took it.

    With tcp://HOST:PORT it is the TCP route of a connection.
    The answer comes from a running node or, with --config, from files.

    \b
    Examples:
      headgate explain GET https://shop.example.com/cart -H 'x-tenant: a'
      headgate explain http://127.0.0.1:8000/ --config headgate.toml --output json
      headgate explain tcp://127.0.0.1:5443 --sni shop.example.com
      headgate explain https://shop.example.com/staff --client-subject CN=alice
    """
    from headgate.cli import explain as explainer
    from headgate.kernel.errors import Invalid

    try:
        asked = explainer.question(request, header or (), client, listener, sni, alpn or ())
        asked = explainer.certified(asked, client_subject, client_san or (), client_fingerprint)
    except Invalid as error:
        raise typer.BadParameter(str(error)) from error
    if config:
        code = explainer.explain(asked, config, output.value, stream=sys.stdout, errors=sys.stderr)
    else:
        shown = {"stream": sys.stdout, "errors": sys.stderr}
        code = explainer.explain_running(asked, state_dir(state, node), output.value, **shown)
    raise typer.Exit(code)


def test(
    file: Annotated[Path, typer.Argument(help="Test cases in TOML, YAML or JSON.")],
    config: ConfigOption = None,
    output: Output = Format.TEXT,
) -> None:
    """Check that requests take the routes that a file of test cases expects, for your own CI.

    The file names its config, or --config does. The exit code is 1 if a case fails.

    \b
    Example:
      headgate test routes.test.toml --config headgate.toml
    """
    from headgate.cli.test import test as tried

    raise typer.Exit(tried(file, config or (), output.value, stream=sys.stdout, errors=sys.stderr))


def diff(
    old: Annotated[
        Path | None,
        typer.Argument(help="A config file or directory.", metavar="OLD", parser=Path),
    ] = None,
    new: Annotated[
        Path | None,
        typer.Argument(help="Another config file or directory.", metavar="NEW", parser=Path),
    ] = None,
    requests: Annotated[
        Path | None,
        typer.Option(help="An access log; show which of its requests would take another route."),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Scheme and host for log lines that have none."),
    ] = None,
    file: ComparedFiles = None,
    fleet: Annotated[
        str, typer.Option(metavar="NAME", help="Compare with a revision of this fleet.")
    ] = "",
    revision: Annotated[
        str, typer.Option(metavar="NUMBER", help="Which one: a number, `served` or `newest`.")
    ] = "served",
    node: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Compare what this agent of the fleet got and would get now."
        ),
    ] = "",
    context: MasterContext = "",
    output: Output = Format.TEXT,
) -> None:
    """Show which objects differ between two configs, and which logged requests change route.

    With -f or --fleet one side is what a master has: documents are compared with the resources of
    the workspace, or with a revision of a fleet; --fleet alone compares the workspace's resources
    with it. What only the master has is shown as removed. With --node both sides have the values
    of that node.

    \b
    Examples:
      headgate diff old.toml new.toml --requests access.log
      headgate diff -f config/
      headgate diff -f config/ --fleet edge --revision newest
      headgate diff --fleet edge --node edge-1
    """
    if node and (file or not fleet):
        raise typer.BadParameter("--node needs --fleet, and no files")
    if file or fleet:
        if old is not None or requests is not None:
            raise typer.BadParameter("name files, or use -f and --fleet; not both")
        from headgate.cli.remote import comparing
        from headgate.cli.remote_commands import opened

        asked = comparing.Asked(file or [], fleet, revision, node)
        raise typer.Exit(comparing.diff(opened(context), asked, output.value))
    if old is None or new is None:
        raise typer.BadParameter("name two configs, or compare with a master: -f PATH, --fleet")
    from headgate.cli.diff import Log
    from headgate.cli.diff import diff as differ

    log = Log(requests, base) if requests is not None else None
    raise typer.Exit(differ(old, new, log, output.value, stream=sys.stdout, errors=sys.stderr))


def schema() -> None:
    """Print the JSON Schema of the config, for editors and CI.

    \b
    Example:
      headgate schema > headgate.schema.json
    """
    from headgate.cli.schema import schema as text

    sys.stdout.write(text())


COMMANDS = (check, explain, test, diff, schema)

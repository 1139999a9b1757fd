"""The command that runs a master, and those that back it up and restore it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.backup_commands import backup, restore
from headgate.cli.master_options import Data, DatabaseUrl, directory
from headgate.cli.output import BAD_CONFIG, complain
from headgate.kernel import imports

if TYPE_CHECKING:
    from headgate.master.settings import Tls

Listen = Annotated[
    str,
    typer.Option(
        envvar="HEADGATE_MASTER_LISTEN",
        metavar="ADDRESS",
        help="The address of the REST API; any address but loopback needs TLS.",
    ),
]
TlsCert = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The certificate of the REST API, with its chain."),
]
TlsKey = Annotated[Path | None, typer.Option(metavar="FILE", help="The key of the certificate.")]
FleetTls = Annotated[
    bool,
    typer.Option(
        "--fleet-tls",
        help="Serve the REST API with a certificate of the fleet's own CA; join tokens pin it.",
    ),
]
AgentsListen = Annotated[
    str,
    typer.Option(
        envvar="HEADGATE_MASTER_AGENTS_LISTEN",
        metavar="ADDRESS",
        help="The address for agents (gRPC with mutual TLS), or `off`.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option(
        "--name",
        metavar="NAME",
        help="A host name or address by which agents reach this master; may be repeated.",
    ),
]
AuditDays = Annotated[
    int,
    typer.Option(
        envvar="HEADGATE_MASTER_AUDIT_DAYS",
        metavar="DAYS",
        min=1,
        max=36_500,
        help="How long entries of the audit log are kept.",
    ),
]
MetricsListen = Annotated[
    str,
    typer.Option(
        envvar="HEADGATE_MASTER_METRICS_LISTEN",
        metavar="ADDRESS",
        help="The address that answers GET /metrics, such as 127.0.0.1:9092; any address but "
        "loopback needs TLS.",
    ),
]
NewPassword = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="Print a link by which this user chooses another password, once, within 24 hours.",
    ),
]
LogLevel = Annotated[str, typer.Option(metavar="LEVEL", help="error, warn, info or debug.")]


app = typer.Typer(name="master", invoke_without_command=True)


@app.callback()
def master(
    context: typer.Context,
    listen: Listen = "127.0.0.1:8080",
    data: Data = None,
    database_url: DatabaseUrl = "",
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    fleet_tls: FleetTls = False,
    agents_listen: AgentsListen = "127.0.0.1:8443",
    name: Names = None,
    audit_days: AuditDays = 400,
    metrics_listen: MetricsListen = "off",
    new_password: NewPassword = "",
    log_level: LogLevel = "info",
) -> None:
    """Run a master: the REST API by which people manage fleets of nodes.

    At its first start it prints a link that creates the first administrator. The key that encrypts
    secrets in the database is created in the directory, unless HEADGATE_MASTER_KEY holds it.

    \b
    Examples:
      headgate master
      DATABASE_URL=postgresql:///headgate headgate master --data /srv/headgate
      headgate master --listen 0.0.0.0:8080 --tls-cert chain.pem --tls-key key.pem
      headgate master --listen 0.0.0.0:8080 --agents-listen 0.0.0.0:8443 --fleet-tls --name HOST
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    with imports.program():
        import asyncio

        from headgate.master.process import run
        from headgate.master.settings import Settings, address, checked
        from headgate.master.store.errors import StartError
        from headgate.master.store.sealing import VARIABLE
        from headgate.node import stderr
        from headgate.node.about import version
        from headgate.node.logs import configure

    stderr.queue()
    configure(log_level)
    try:
        settings = checked(
            Settings(
                directory=directory(data),
                database_url=database_url,
                listen=address(listen),
                tls=_tls(tls_cert, tls_key),
                master_key=os.environ.pop(VARIABLE, None),
                agents_listen=None if agents_listen == "off" else address(agents_listen),
                names=tuple(name or ()),
                has_fleet_tls=fleet_tls,
                audit_days=audit_days,
                metrics_listen=None if metrics_listen == "off" else address(metrics_listen),
                new_password=new_password,
            )
        )
        asyncio.run(run(settings, version()))
    except StartError as error:
        raise complain(str(error), BAD_CONFIG) from error


def _tls(certificate: Path | None, key: Path | None) -> "Tls | None":
    """Returns both files as one; raises BadParameter for one without the other."""
    from headgate.master.settings import Tls

    if certificate is not None and key is not None:
        return Tls(certificate, key)
    if certificate is not None or key is not None:
        raise typer.BadParameter("give both or neither", param_hint="--tls-cert, --tls-key")
    return None


def _refuse_options(context: typer.Context) -> None:
    """Refuses options of the master before a command: they would be ignored."""
    for one in context.command.params:
        source = context.get_parameter_source(one.name or "")
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter(
                f"this is an option of the master; write those of `{context.invoked_subcommand}`"
                " after it",
                param_hint=one.opts[0],
            )


app.command("backup")(backup)
app.command("restore")(restore)
APPS = (app,)

"""The command that runs a master."""

import os
from pathlib import Path
from typing import Annotated

import typer

from headgate.cli.output import BAD_CONFIG, complain

_ROOT_DIRECTORY = Path("/var/lib/headgate-master")


Listen = Annotated[
    str,
    typer.Option(
        envvar="HEADGATE_MASTER_LISTEN",
        metavar="ADDRESS",
        help="Where the REST API listens; any address but loopback needs TLS.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        envvar="HEADGATE_MASTER_DATA",
        metavar="DIR",
        help="The master's directory: database, key, backups.",
    ),
]
DatabaseUrl = Annotated[
    str,
    typer.Option(
        envvar="DATABASE_URL",
        metavar="URL",
        help="A PostgreSQL database in place of SQLite in the directory.",
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
        help="Where agents connect (gRPC, with TLS of both sides), or `off`.",
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
        help="How long lines of the audit log are kept.",
    ),
]
LogLevel = Annotated[str, typer.Option(metavar="LEVEL", help="error, warn, info or debug.")]


def master(
    listen: Listen = "127.0.0.1:8080",
    data: Data = None,
    database_url: DatabaseUrl = "",
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    fleet_tls: FleetTls = False,
    agents_listen: AgentsListen = "127.0.0.1:8443",
    name: Names = None,
    audit_days: AuditDays = 400,
    log_level: LogLevel = "info",
) -> None:
    """Run a master: the REST API by which people manage fleets of nodes.

    At its first start it prints a link that makes the first administrator. The key that encrypts
    secrets in the database is made in the directory, unless HEADGATE_MASTER_KEY holds it.

    \b
    Examples:
      headgate master
      DATABASE_URL=postgresql:///headgate headgate master --data /srv/headgate
      headgate master --listen 0.0.0.0:8080 --tls-cert chain.pem --tls-key key.pem
      headgate master --listen 0.0.0.0:8080 --agents-listen 0.0.0.0:8443 --fleet-tls --name HOST
    """
    import asyncio

    from headgate.master.process import run
    from headgate.master.settings import Settings, Tls, address, checked
    from headgate.master.store.errors import StartError
    from headgate.master.store.sealing import VARIABLE
    from headgate.node.about import version
    from headgate.node.logs import configure

    if (tls_cert is None) != (tls_key is None):
        raise typer.BadParameter("give both or neither", param_hint="--tls-cert, --tls-key")
    configure(log_level)
    try:
        settings = checked(
            Settings(
                directory=(data or _directory()).absolute(),
                database_url=database_url,
                listen=address(listen),
                tls=Tls(tls_cert, tls_key) if tls_cert and tls_key else None,
                master_key=os.environ.pop(VARIABLE, None),
                agents_listen=None if agents_listen == "off" else address(agents_listen),
                names=tuple(name or ()),
                has_fleet_tls=fleet_tls,
                audit_days=audit_days,
            )
        )
        asyncio.run(run(settings, version()))
    except StartError as error:
        raise complain(str(error), BAD_CONFIG) from error


def _directory() -> Path:
    """Returns where a master keeps its data unless it is told."""
    if os.geteuid() == 0:
        return _ROOT_DIRECTORY
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(state) / "headgate-master"


COMMANDS = (master,)

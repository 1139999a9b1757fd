"""The commands that run one plane of a node, the other one being elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from headgate.cli.agent_commands import MasterUrl, OwnConfig, Token
from headgate.cli.node_commands import loopback
from headgate.cli.output import BAD_CONFIG, complain
from headgate.cli.places import Configs, NodeName, StateDir, state_dir

if TYPE_CHECKING:
    from headgate.node.remote.target import Files

Cert = Annotated[
    Path | None,
    typer.Option(
        envvar="HEADGATE_LINK_CERT",
        metavar="FILE",
        help="The certificate of this end of the control link, with its chain, in PEM.",
        parser=Path,
    ),
]
Key = Annotated[
    Path | None,
    typer.Option(
        envvar="HEADGATE_LINK_KEY", metavar="FILE", help="The key of --cert.", parser=Path
    ),
]
Authority = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="HEADGATE_LINK_CA",
        metavar="FILE",
        help="The CA that signed the certificate of the other end.",
        parser=Path,
    ),
]
LinkMasterUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar=["HEADGATE_MASTER_URL", "NXMESH_MASTER_URL"],
        help="The master whose CA issues the certificate, instead of files: https://HOST.",
    ),
]
LinkToken = Annotated[
    str | None,
    typer.Option(
        metavar="TOKEN",
        envvar=["HEADGATE_AGENT_TOKEN", "NXMESH_AGENT_TOKEN"],
        help="The data plane's join token, needed at the first start only.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(min=1, max=128, envvar="HEADGATE_WORKERS", help="Number of worker threads."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDRESS", help="Another address that serves metrics and health."),
]
AdminHost = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A name to accept in Host headers at these addresses."),
]
LogLevel = Annotated[str | None, typer.Option(metavar="LEVEL", help="error, warn, info or debug.")]

DataPlaneAddress = Annotated[
    str,
    typer.Option(
        envvar="HEADGATE_DATAPLANE",
        metavar="HOST:PORT",
        help="The address where `headgate dataplane` listens.",
    ),
]
DataPlaneName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The name in the data plane's certificate. [default: the host of --dataplane]",
    ),
]
Admin = Annotated[
    list[str] | None,
    typer.Option(metavar="ADDRESS", help="The loopback address of the admin API, or `off`."),
]


def dataplane(
    cert: Cert = None,
    key: Key = None,
    ca: Authority = None,
    listen: Annotated[
        str, typer.Option(metavar="ADDRESS", help="The address that the control plane connects to.")
    ] = "127.0.0.1:9443",
    control_name: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A name that the control plane's certificate must have. [default: any]",
        ),
    ] = None,
    workers: Workers = None,
    metrics: Metrics = None,
    admin_host: AdminHost = None,
    user: Annotated[
        str | None, typer.Option(metavar="USER", help="The user to switch to, like `node.user`.")
    ] = None,
    log_level: LogLevel = None,
    master_url: LinkMasterUrl = None,
    token: LinkToken = None,
    state: StateDir = None,
    node: NodeName = None,
) -> None:
    """Run the data plane of a node; its control plane connects from elsewhere.

    It needs no config: `headgate control` sends it one. It serves the last good one from its start
    and while no control plane is connected, and lets in one control plane at a time.

    Its certificate comes from files, or from the CA of a fleet: then it obeys the one agent that
    the join token names.

    \b
    Examples:
      headgate dataplane --listen 0.0.0.0:9443 --cert dp.pem --key dp.key --ca link-ca.pem
      headgate dataplane --listen 0.0.0.0:9443 --master-url https://master.example --token "$TOKEN"
    """
    from headgate.cli import planes

    (listen,) = _addresses([listen], "--listen")
    checked = _addresses(metrics or [], "--metrics")
    its = _files(cert, key, ca, master_url, is_server=True)
    if its is None and control_name:
        raise typer.BadParameter(
            "the join token says which control plane this data plane obeys; leave it out",
            param_hint="--control-name",
        )
    place = state_dir(state, node)
    request = planes.DataPlaneRequest(
        listen=listen,
        files=its,
        master="" if its is not None else planes.master_of(master_url, place, token),
        control_names=control_name or [],
        metrics=checked,
        admin_hosts=admin_host or [],
        workers=workers,
        log_level=log_level,
        user=user,
    )
    _or_say_why(lambda: planes.become_data_plane(request, place))


def control(
    dataplane: DataPlaneAddress,
    configs: Configs = None,
    cert: Cert = None,
    key: Key = None,
    ca: Authority = None,
    dataplane_name: DataPlaneName = None,
    workers: Workers = None,
    admin: Admin = None,
    metrics: Metrics = None,
    admin_host: AdminHost = None,
    log_level: LogLevel = None,
    watch: Annotated[bool, typer.Option(help="Reload when a file of the config changes.")] = True,
    master_url: MasterUrl = None,
    token: Token = None,
    config: OwnConfig = None,
    state: StateDir = None,
    node: NodeName = None,
) -> None:
    """Run the control plane of a node whose data plane runs elsewhere.

    It reads the config, or gets it from a master, sends the plan to the data plane, and answers
    the admin API. When the link is restored after a cut, the data plane gets what has changed.

    With a master and without certificate files, the certificates of both ends come from the CA of
    the fleet.

    \b
    Examples:
      headgate control headgate.toml --dataplane edge.example:9443 \\
        --cert control.pem --key control.key --ca link-ca.pem
      headgate control --master-url grpcs://master.example --token "$TOKEN" \\
        --dataplane edge.example:9443
    """
    from headgate.cli import planes
    from headgate.kernel.errors import Invalid
    from headgate.node.options import Options

    source = planes.source_of(configs or [], master_url, config or [])
    its = _files(cert, key, ca, source.master, is_server=False)
    if its is None and dataplane_name is not None:
        raise typer.BadParameter(
            "the certificate of the data plane names the agent and no host; leave it out",
            param_hint="--dataplane-name",
        )
    place = state_dir(state or source.settings.state_dir, node)
    try:
        remote = planes.target(dataplane, dataplane_name, its, place)
    except Invalid as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--dataplane") from None
    planes.remember(source, place, token)
    options = Options(
        state_dir=str(place),
        configs=[str(path.absolute()) for path in source.configs],
        admin=None if admin is None else loopback([one for one in admin if one != "off"]),
        metrics=metrics or None,
        admin_hosts=admin_host or [],
        log_level=log_level,
        workers=workers,
        watch=watch,
        remote=remote,
        master=source.master,
        name=node or "",
    )
    _or_say_why(lambda: planes.become_control(options, source.settings))


def _addresses(texts: list[str], option: str) -> list[str]:
    from headgate.features import syntax
    from headgate.kernel.errors import Invalid

    try:
        return [syntax.listen_address(one) for one in texts]
    except Invalid as wrong:
        raise typer.BadParameter(str(wrong), param_hint=option) from None


def _files(
    cert: Path | None, key: Path | None, ca: Path | None, master: str | None, *, is_server: bool
) -> "Files | None":
    """Returns the files of this end; None: it has none, and a master whose CA issues for it."""
    from headgate.cli import planes
    from headgate.node.remote.credentials import CredentialsError

    if cert is None and key is None and ca is None and master:
        return None
    if cert is None or key is None or ca is None:
        raise typer.BadParameter(
            "a control link has certificates at both ends: give --cert, --key and --ca, or"
            " --master-url for certificates of the fleet's CA",
            param_hint="--cert",
        )
    if is_server and master:
        raise typer.BadParameter(
            "the certificate comes from files or from the fleet's CA, and both are given",
            param_hint="--master-url",
        )
    try:
        return planes.files(cert, key, ca, is_server=is_server)
    except CredentialsError as error:
        raise complain(str(error), BAD_CONFIG) from error


def _or_say_why(become: Callable[[], None]) -> None:
    from headgate.cli.rights import RightsError

    try:
        become()
    except RightsError as error:
        raise complain(str(error), BAD_CONFIG) from error


COMMANDS = (dataplane, control)

"""The commands that run a node or talk to a running one."""

import os
import sys
from enum import StrEnum
from typing import Annotated

import typer

from headgate.cli.output import BAD_CONFIG, FAILED, Format, Output, complain, show
from headgate.cli.places import (
    Configs,
    Engine,
    InstanceName,
    NodeName,
    StateDir,
    node_dir,
    state_dir,
)
from headgate.kernel import imports


def run(
    configs: Configs = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=128, envvar="HEADGATE_WORKERS", help="Number of worker threads."),
    ] = None,
    admin: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="The loopback address of the admin API, or `off`."),
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(metavar="ADDRESS", help="Another address that serves metrics and health."),
    ] = None,
    admin_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A name to accept in Host headers at these addresses."),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="error, warn, info or debug.")
    ] = None,
    watch: Annotated[bool, typer.Option(help="Reload when a file of the config changes.")] = True,
    engine: Annotated[
        Engine | None, typer.Option(help="The engine to run, instead of `node.engine`.")
    ] = None,
    state: StateDir = None,
    node: NodeName = None,
) -> None:
    """Run a node: serve the config, and reload it when it changes.

    Without CONFIG, environment variables such as PROXY_UPSTREAM_ADDRS define the config.

    \b
    Examples:
      headgate run headgate.toml
      headgate run /etc/headgate --workers 4
      headgate run headgate.toml --engine nginx
      PROXY_UPSTREAM_ADDRS=http://127.0.0.1:8080 headgate run

    Signals: SIGTERM and SIGINT drain (the second quits), SIGHUP reloads, SIGUSR1 reopens logs,
    SIGUSR2 upgrades.
    """
    with imports.program():
        from headgate.cli import run as runner

    if not configs and not runner.has_environment_config(os.environ):
        raise typer.BadParameter(
            "give a config file, or set PROXY_UPSTREAM_ADDRS to run without one",
            param_hint="CONFIG",
        )
    request = runner.RunRequest(
        configs=configs or [],
        workers=workers,
        admin=None if admin is None else loopback([one for one in admin if one != "off"]),
        metrics=metrics or None,
        admin_hosts=admin_host or [],
        log_level=log_level,
        watch=watch,
        engine=None if engine is None else engine.value,
    )
    if (settings := runner.node_settings(request.configs)) is None:
        raise typer.Exit(BAD_CONFIG)
    place = state_dir(state or settings.state_dir, node)
    become(runner.supervisor_command(request, settings, place))


def become(command: list[str]) -> None:
    """Makes this process the supervisor; ends with the exit code of a bad config if it may not."""
    from headgate.cli import run as runner
    from headgate.cli.rights import RightsError

    try:
        runner.become(command)
    except RightsError as error:
        sys.stderr.write(f"headgate: {error}\n")
        raise typer.Exit(BAD_CONFIG) from error


def loopback(addresses: list[str]) -> list[str]:
    """Returns the same addresses; an address that is not loopback is refused, as in the config."""
    from headgate.features import syntax
    from headgate.kernel.errors import Invalid

    for address in addresses:
        try:
            is_loopback = syntax.is_loopback(syntax.listen_address(address))
        except Invalid as wrong:
            raise typer.BadParameter(str(wrong), param_hint="--admin") from None
        if not is_loopback:
            raise typer.BadParameter(
                f'"{address}" can be reached from other hosts; give a loopback address such as '
                "127.0.0.1:9090, or serve metrics there with --metrics",
                param_hint="--admin",
            )
    return addresses


def reload(
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    output: Output = Format.TEXT,
) -> None:
    """Make a running node read its config again.

    A config with errors is refused and changes nothing; the errors are listed, and the exit code
    is 78. An agent that drives several instances starts those that are new in its config, ends
    those that are no longer in it, and makes every other one read its config again.

    \b
    Example:
      headgate reload && echo served
    """
    from headgate.cli import manage, several
    from headgate.kernel.diagnostics import render_text
    from headgate.node.results import Outcome

    if (whole := several.place(state, node, instance)) is not None:
        everywhere = several.reload(whole)
        show(everywhere, output, several.reload_text)
        if output is Format.TEXT:
            sys.stderr.write(several.complaints(everywhere))
        if everywhere.code:
            raise typer.Exit(everywhere.code)
        return
    result = manage.reload(node_dir(state, node, instance))
    show(result, output, manage.reload_text)
    if output is Format.TEXT:
        sys.stderr.write(render_text(result.diagnostics))
    if result.error:
        raise complain(result.error)
    if not result.is_ok:
        raise typer.Exit(BAD_CONFIG if result.outcome is Outcome.REFUSED else FAILED)


def drain(
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    wait: Annotated[bool, typer.Option(help="Wait until the node has ended.")] = True,
) -> None:
    """Make a running node stop accepting connections, finish the requests in flight, and end.

    \b
    Example:
      headgate drain --no-wait
    """
    from headgate.cli import manage, several

    if (whole := several.place(state, node, instance)) is not None:
        error = several.drain(whole, wait=wait)
    else:
        error = manage.drain(node_dir(state, node, instance), wait=wait)
    if error is not None:
        raise complain(error)


class EndpointState(StrEnum):
    """The states that an operator may order for an endpoint."""

    READY = "ready"
    DRAIN = "drain"
    MAINTENANCE = "maintenance"


def endpoint(
    upstream: Annotated[str, typer.Argument(help="The name of the upstream.")],
    address: Annotated[str, typer.Argument(help="The endpoint's address, as in the config.")],
    order: Annotated[EndpointState, typer.Argument(help="The state to put the endpoint in.")],
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
) -> None:
    """Take an endpoint out of a running node, or put it back, without a reload.

    With `drain` and `maintenance` it gets no new requests, and those in flight end; flows of UDP
    stay at an endpoint that drains and leave one in maintenance. The order holds across reloads
    and restarts until `ready`.

    \b
    Examples:
      headgate endpoint api 10.0.0.11:8080 drain
      headgate endpoint api 10.0.0.11:8080 ready
    """
    from headgate.cli import manage

    error = manage.order(node_dir(state, node, instance), upstream, address, order.value)
    if error is not None:
        raise complain(error)
    sys.stdout.write(f"{upstream} {address}: {order.value}\n")


def upgrade(state: StateDir = None, node: NodeName = None, instance: InstanceName = None) -> None:
    """Replace a node's processes with the installed version, without losing a connection.

    \b
    Example:
      pip install --upgrade headgate && headgate upgrade
    """
    from headgate.cli import manage, several

    if (whole := several.place(state, node, instance)) is not None:
        error = several.upgrade(whole)
    else:
        error = manage.upgrade(node_dir(state, node, instance))
    if error is not None:
        raise complain(error)
    sys.stdout.write("upgraded\n")


def status(
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    output: Output = Format.TEXT,
) -> None:
    """Show what a running node serves and its state; the exit code is 1 if it is not ready.

    For an agent that drives several instances it shows a line for each, or all about one of them.

    \b
    Examples:
      headgate status --output json
      headgate status --instance outer
    """
    from headgate.cli import manage, several

    if (whole := several.place(state, node, instance)) is not None:
        every = several.status(whole)
        show(every, output, several.status_text)
        if not every.ready:
            raise typer.Exit(FAILED)
        return
    found = manage.status(node_dir(state, node, instance))
    show(found, output, manage.status_text)
    if not found.ready:
        raise typer.Exit(FAILED)


def events(
    after: Annotated[
        int, typer.Option(min=0, metavar="SEQ", help="Show events after the one with this number.")
    ] = 0,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep showing new events until Ctrl-C.")
    ] = False,
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    output: Output = Format.TEXT,
) -> None:
    """Show what happened on a running node: configs, endpoints, breakers, certificates.

    The node keeps the last 256 events. With `--output json` each event is an object on a line of
    its own, with its number as `seq`.

    \b
    Examples:
      headgate events
      headgate events --follow --output json
    """
    from headgate.cli import events as shown

    try:
        for one in shown.events(node_dir(state, node, instance), after, follow=follow):
            show(one, output, shown.text)
            sys.stdout.flush()
    except KeyboardInterrupt:
        return


def top(
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    interval: Annotated[
        float, typer.Option(min=0.1, max=60, help="Seconds between two readings.")
    ] = 1.0,
) -> None:
    """Watch a running node: requests, latency, connections, upstreams. Ctrl-C ends it.

    If the output is a pipe or a file, it prints one table and ends. NO_COLOR turns colours off.

    \b
    Example:
      headgate top --interval 0.5
    """
    from headgate.cli.top import watch

    watch(node_dir(state, node, instance), interval)


COMMANDS = (run, reload, drain, endpoint, upgrade, status, events, top)

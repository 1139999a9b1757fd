"""The command that shows the requests of a running node."""

import sys
from typing import Annotated

import msgspec
import typer

from headgate.cli.output import Format, Output, complain
from headgate.cli.places import InstanceName, NodeName, StateDir, node_dir

Host = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="The host, without port; *.example.com matches every name below it."
    ),
]
PathPrefix = Annotated[
    str, typer.Option("--path", metavar="PATH", help="The beginning of the request's target.")
]
Method = Annotated[str, typer.Option(metavar="METHOD", help="The method, such as GET.")]
Status = Annotated[
    str, typer.Option(metavar="STATUS", help="The status, such as 404, 5xx or 400-499.")
]
OfClient = Annotated[
    str, typer.Option("--client", metavar="ADDRESS", help="The client's address, or its network.")
]
OfListener = Annotated[str, typer.Option("--listener", metavar="NAME", help="The listener.")]
OfRoute = Annotated[str, typer.Option("--route", metavar="NAME", help="The route.")]
OfUpstream = Annotated[str, typer.Option("--upstream", metavar="NAME", help="The upstream.")]
Slower = Annotated[
    str,
    typer.Option(
        metavar="TIME", help="Only requests that took this long or longer, such as 250ms."
    ),
]
WithHeaders = Annotated[
    bool, typer.Option("--headers", help="Show the headers of requests; secrets are hidden.")
]
Count = Annotated[
    int, typer.Option("--count", "-n", min=0, help="End after this many requests; 0 = never.")
]


def tap(
    host: Host = "",
    path: PathPrefix = "",
    method: Method = "",
    status: Status = "",
    client: OfClient = "",
    listener: OfListener = "",
    route: OfRoute = "",
    upstream: OfUpstream = "",
    slower: Slower = "",
    headers: WithHeaders = False,
    count: Count = 0,
    state: StateDir = None,
    node: NodeName = None,
    instance: InstanceName = None,
    output: Output = Format.TEXT,
) -> None:
    """Show the requests of a running node as they end, until Ctrl-C.

    A request must match every option that is given. Requests never wait for this command: those
    that it does not read in time are left out, and standard error says how many. Credentials in
    headers and queries are shown as `(secret)`. The command needs no access log; with the nginx
    engine it does not work. It ends with exit code 1 when the node's control process or data plane
    is replaced.

    \b
    Examples:
      headgate tap
      headgate tap --host api.example.com --status 5xx
      headgate tap --route api --slower 500ms --headers
      headgate tap --client 192.0.2.0/24 --count 10 --output json
    """
    from headgate.cli import tap as taps

    given = {
        "host": host,
        "path": path,
        "method": method,
        "status": status,
        "client": client,
        "listener": listener,
        "route": route,
        "upstream": upstream,
        "slower": slower,
        "headers": "true" if headers else "",
    }
    query = {name: value for name, value in given.items() if value}
    left = count
    try:
        for line in taps.lines(node_dir(state, node, instance), query):
            one = msgspec.json.decode(line, type=taps.Shown)
            if one.dropped:
                sys.stderr.write(f"headgate: {one.dropped} requests were not shown\n")
                continue
            sys.stdout.write(line.decode() if output is Format.JSON else taps.text(one))
            sys.stdout.flush()
            left -= 1
            if left == 0:
                return
    except taps.TapError as refused:
        raise complain(str(refused)) from None
    except KeyboardInterrupt:
        return
    raise complain("the node ended the tap: a process of it was replaced; give the command again")


COMMANDS = (tap,)

"""The lines of `headgate status` on a node's processes and the control link between them."""

import datetime as dt

from headgate.node.about import NodeStatus
from headgate.node.link import About
from headgate.node.remote.peer import Certificate, LinkStatus, Peer


def process_lines(node: NodeStatus, supervisor: About) -> list[str]:
    """Returns the processes; those of another host are named as remote."""
    first = supervisor.restarts.get("control", 0)
    plane = f"data plane restarted {supervisor.restarts.get('dataplane', 0)} times"
    if node.gate is not None:
        return [f"processes   gate {node.gate.pid}, restarted {first} times; {plane}"]
    pid = node.control.pid if node.control is not None else 0
    if node.link is None:
        return [f"processes   control {pid}, restarted {first} times; {plane}"]
    where = node.link.peer.host if node.link.peer is not None else node.link.address
    if supervisor.dataplane is not None:
        plane = plane.replace("data plane", f"data plane {supervisor.dataplane.pid},")
    return [
        f"processes   control {pid}",
        f"remote      on {where}: {plane}; gate restarted {first} times",
    ]


def link_lines(link: LinkStatus) -> list[str]:
    """Returns how the control link is, and what is known of its other end."""
    other = "data plane" if link.role == "control" else "control plane"
    if link.connected:
        lines = [f"link        up since {moment(link.since)}, version {link.protocol}"]
    else:
        lines = [f"link        down since {moment(link.since)}: {link.error}"]
    if link.role == "dataplane":
        lines.append(f"            listens for a control plane at {link.address}")
    if link.peer is not None:
        lines.append(f"            {_peer(link.peer, other, was=not link.connected)}")
        lines.append(f"            its certificate: {_certificate(link.peer.certificate)}")
        lines.append(f"            last contact {moment(link.last_contact)}")
    lines.append(f"            our certificate: {_certificate(link.certificate)}")
    if link.certificate.trouble:
        lines.append(f"            {link.certificate.trouble}")
    if link.refused:
        lines.append(f"            {link.refusals} connections refused; the last: {link.refused}")
    return lines


def _peer(peer: Peer, other: str, *, was: bool) -> str:
    last = "the last one was " if was else ""
    return f"{other}: {last}{peer.host} at {peer.address}, pid {peer.pid}, headgate {peer.version}"


def _certificate(one: Certificate) -> str:
    names = ", ".join(one.names) or one.subject or "without a name"
    if one == Certificate("", [], 0.0, trouble=one.trouble):
        return "none yet"
    return f"{names}, until {moment(one.not_after)}"


def moment(unix: float) -> str:
    """Returns a time (Unix seconds) in UTC; `never` for 0."""
    if not unix:
        return "never"
    return dt.datetime.fromtimestamp(unix, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

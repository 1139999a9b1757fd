"""Opens the port of the control link."""

import errno
import socket

from headgate.supervisor.holder import Place, listening_inodes, owner, process_of

_BACKLOG = 16


class PortError(Exception):
    """The port cannot be opened; the message says why, and who holds it."""


def open_port(address: str) -> socket.socket:
    """Returns a listening socket for `host:port`; raises PortError."""
    host, _, number = address.rpartition(":")
    host, port = host.strip("[]"), int(number)
    is_6 = ":" in host
    one = socket.socket(socket.AF_INET6 if is_6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((host, port))
        one.listen(_BACKLOG)
    except OSError as error:
        one.close()
        held = _held(error, is_6, host, port)
        why = (error.strerror or str(error)).lower()
        raise PortError(
            f"cannot listen for a control plane on {address}: {why}{held}; "
            "give another address with --listen"
        ) from error
    return one


def _held(error: OSError, is_6: bool, host: str, port: int) -> str:
    if error.errno != errno.EADDRINUSE:
        return ""
    place = Place(is_6, host, port)
    inodes = listening_inodes(place)
    holder = (process_of(inodes) if inodes else "") or owner(place)
    return f" (held by {holder})" if holder else ""

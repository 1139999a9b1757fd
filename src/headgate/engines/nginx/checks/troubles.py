"""Says what the errors of a check's sockets mean."""

import errno
import os
import ssl
from typing import Final

from headgate.engines.nginx.checks.answer import Failure

_NO_ROUTE: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN})


def not_connected(error: OSError) -> Failure:
    """Returns the failure of a check that could not connect."""
    word = "check-no-route" if error.errno in _NO_ROUTE else "check-connect"
    return Failure(word, clause(error))


def undelivered(error: OSError) -> Failure:
    """Returns the failure of a datagram: the kernel tells the errors that ICMP brought."""
    if error.errno == errno.ECONNREFUSED:
        return Failure("check-unreachable", "ICMP said that its port is unreachable")
    word = "check-no-route" if error.errno in _NO_ROUTE else "check-lost"
    return Failure(word, clause(error))


def clause(error: OSError) -> str:
    """Returns what an error says, in words alone."""
    if isinstance(error, ssl.SSLError):
        return error.reason or str(error)
    return os.strerror(error.errno) if error.errno else str(error)

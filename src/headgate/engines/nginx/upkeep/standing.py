"""The endpoints of a plan as the node of a folder would render them now, read from outside it."""

import secrets
from pathlib import Path
from typing import NamedTuple

from headgate.engines.nginx.checks.known import KnownHealth
from headgate.engines.nginx.checks.orders import KeptOrders
from headgate.engines.nginx.checks.rounds import clock_ms
from headgate.engines.nginx.checks.table import Addresses, HealthTable, Out
from headgate.engines.nginx.drive.engine import named_hosts
from headgate.engines.nginx.drive.pins import Pins
from headgate.plan.plan import Plan


class Standing(NamedTuple):
    """The addresses that names of endpoints resolve to, and those that take no requests, by
    upstream.
    """

    addresses: Addresses
    out: Out


def standing(root: Path, plan: Plan) -> Standing:
    """Returns what the files of the node at `root` say of a plan's endpoints; writes nothing.

    Orders of operators and what checks concluded are on disk; ejections of outliers and open
    breakers are not, as they end within seconds. Waits 5 s at most for the addresses of names.
    Raises OSError.
    """
    addresses = Pins(root).found(named_hosts(plan))
    table = HealthTable(lambda *_: None, clock_ms, lambda: secrets.randbits(64))
    table.orders = KeptOrders(root).read()
    table.known = KnownHealth(root).read()
    return Standing(addresses, table.out(plan, addresses))

"""`client` in nginx: a `geo` of the client's address, after `real_ip` has read trusted headers."""

from typing import Final

from headgate.features.nginx import Parity, Shared
from headgate.nginxtext.writer import Var

PARITY: Final = (Parity("routes.NAME.match[].client", "same"),)


def condition(networks: tuple[str, ...], shared: Shared) -> Var:
    """Returns a variable that is `1` when the client's address is in one of these networks."""
    return shared.geo("client", Var("remote_addr"), networks)

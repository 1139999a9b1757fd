"""`ip_access` in nginx: a `geo` of the client's address for each list, and `return 403`.

`allow` and `deny` would be asked after every `return` and `rewrite` of the chain, and after the
first that fits, whatever stands in the other list.
"""

from ipaddress import IPv6Network, ip_network
from typing import Final

from headgate.features.middleware.ip_access.spec import IpAccessNode
from headgate.features.nginx import About, Parity
from headgate.features.nginx_chain import Chain, Refusal
from headgate.nginxtext import writer
from headgate.nginxtext.writer import Literal, Var

PARITY: Final = (
    Parity("middlewares.NAME.ip_access.allow", "same"),
    Parity("middlewares.NAME.ip_access.deny", "same"),
)

_ADDRESS: Final = Var("remote_addr")
_MAPPED_BITS: Final = 96
_DENIED: Final = Refusal(403, "http_request_denied", "ip-access", "this address may not pass here")


def apply(node: IpAccessNode, chain: Chain, about: About) -> None:
    """Refuses the clients that may not pass."""
    for networks, refused in ((node.deny, "1"), (node.allow, "0")):
        if not networks:
            continue
        known = [_without_mapping(network) for network in networks]
        found = chain.shared.geo("clients", _ADDRESS, known)
        answer = chain.refusal(_DENIED)
        chain.steps.append(writer.if_(found, "=", Literal(refused), children=[answer]))


def _without_mapping(network: str) -> str:
    """Returns the IPv4 form of a network of mapped addresses, which nginx looks up as IPv4."""
    parsed = ip_network(network)
    if isinstance(parsed, IPv6Network) and parsed.prefixlen >= _MAPPED_BITS:
        first = parsed.network_address.ipv4_mapped
        return f"{first}/{parsed.prefixlen - _MAPPED_BITS}" if first is not None else network
    return network

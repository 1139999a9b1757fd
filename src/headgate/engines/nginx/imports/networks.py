"""Sets of addresses, as far as lists of `allow` and `deny` need them."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Final

from headgate.engines.nginx.imports.objects import NotExpressibleError

Network = IPv4Network | IPv6Network

IPV4: Final = 4
MOST: Final = 4096
"""Most rules in turns, and most networks that they may become."""

_MAPPED: Final = IPv6Network("::ffff:0:0/96")
"""IPv4 in IPv6 (RFC 4291 §2.5.5.2): nginx asks the rules of IPv4 for such a client if there are
any, and its rules of IPv6 never; to us both forms are one address."""


def network_of(text: str) -> Network:
    """Returns a network of nginx's, which ignores the bits beyond its mask.

    Raises `NotExpressibleError` for `unix:`, and for networks of mapped addresses.
    """
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise NotExpressibleError(f"`{text}` is no network here") from None
    if isinstance(found, IPv6Network) and found.subnet_of(_MAPPED):
        raise NotExpressibleError(f"`{text}`: we take these addresses for those of IPv4")
    return found


def is_exact(text: str) -> bool:
    """Reports whether a network has no bits beyond its mask."""
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def check_unmapped(found: Iterable[Network]) -> None:
    """Raises `NotExpressibleError` for networks around mapped addresses: where no rule is about
    IPv4, nginx asks those of IPv6 for them.
    """
    for one in found:
        if isinstance(one, IPv6Network) and one.overlaps(_MAPPED):
            raise NotExpressibleError(f"`{one}` has addresses that we take for those of IPv4")


def first_of(rules: Sequence[tuple[bool, Network]]) -> list[Network]:
    """Returns the addresses whose first rule is a true one, as few networks as there can be.

    Raises `NotExpressibleError` if these are more than 4,096.
    """
    found: list[Network] = []
    false: list[Network] = []
    _check_count(len(rules))
    for is_true, network in rules:
        if is_true:
            found += _without(network, false)
        else:
            false.append(network)
        _check_count(len(found))
    collapsed: list[Network] = [
        *collapse_addresses([one for one in found if isinstance(one, IPv4Network)]),
        *collapse_addresses([one for one in found if isinstance(one, IPv6Network)]),
    ]
    for one in collapsed:
        network_of(str(one))
    return collapsed


def _without(network: Network, holes: Iterable[Network]) -> list[Network]:
    left = [network]
    for hole in holes:
        left = [part for one in left for part in _minus(one, hole)]
        _check_count(len(left))
    return left


def _check_count(count: int) -> None:
    if count > MOST:
        raise NotExpressibleError("`allow` and `deny` in turns make too many networks")


def _minus(network: Network, hole: Network) -> list[Network]:
    if isinstance(network, IPv4Network) and isinstance(hole, IPv4Network):
        if network.subnet_of(hole):
            return []
        return list(network.address_exclude(hole)) if hole.subnet_of(network) else [network]
    if isinstance(network, IPv6Network) and isinstance(hole, IPv6Network):
        if network.subnet_of(hole):
            return []
        return list(network.address_exclude(hole)) if hole.subnet_of(network) else [network]
    return [network]

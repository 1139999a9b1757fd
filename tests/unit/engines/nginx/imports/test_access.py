"""`allow` and `deny` become `ip_access`: the same clients pass, whatever the order of the rules."""

import random
from ipaddress import ip_address, ip_network

import pytest

from headgate.engines.nginx.imports.access import Access, access_of
from headgate.engines.nginx.imports.networks import MOST
from headgate.engines.nginx.imports.objects import NotExpressibleError
from headgate.nginxtext.includes import Located
from headgate.nginxtext.parse import parse


def found(text: str) -> Access | None:
    lines = parse(text.encode(), "a.conf").directives()
    return access_of([Located("a.conf", line) for line in lines])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("allow all;", None),
        ("allow 10.0.0.1;", None),
        ("deny all; allow 10.0.0.1;", Access()),
        ("deny 10.0.0.1; deny all;", Access()),
        ("allow 10.0.0.0/8; deny all;", Access(("10.0.0.0/8",))),
        ("allow 10.9.9.9/8; deny all;", Access(("10.0.0.0/8",))),
        ("deny 10.0.0.1; allow all;", Access(denied=("10.0.0.1",))),
        ("deny 10.0.0.1; allow 10.0.0.2;", Access(denied=("10.0.0.1",))),
        (
            "deny 10.0.0.1; allow 10.0.0.0/8; allow ::1; deny all;",
            Access(("10.0.0.0/8", "::1"), ("10.0.0.1",)),
        ),
        (
            "allow 10.0.0.0; deny 10.0.0.0/30; allow all;",
            Access(denied=("10.0.0.1/32", "10.0.0.2/31"), computed=True),
        ),
        (
            "allow 10.0.0.1; deny 10.0.0.0/30; allow 10.0.0.0/29; deny all;",
            Access(("10.0.0.1/32", "10.0.0.4/30"), computed=True),
        ),
        ("allow 10.0.0.0/8; deny 10.0.0.1; allow all;", None),
        ("allow ::/0; deny 10.0.0.1; deny all;", Access(("::/0",))),
    ],
)
def test_rules_are_lists_of_networks(text: str, expected: Access | None) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("deny unix:;", "`unix:` is no network here"),
        ("allow ::ffff:10.0.0.0/104; deny all;", "those of IPv4"),
        # Without a rule about IPv4 nginx asks those of IPv6 for mapped addresses.
        ("deny ::/0;", "those of IPv4"),
        ("allow 10.0.0.1; deny ::fffe:0:0/96; allow ::fffe:0:0/95; deny all;", "those of IPv4"),
    ],
)
def test_what_nginx_compares_otherwise_has_no_counterpart(text: str, why: str) -> None:
    with pytest.raises(NotExpressibleError, match=why):
        found(text)


def _random_rules(chance: random.Random) -> list[tuple[str, str]]:
    rules = []
    for _ in range(chance.randint(1, 7)):
        if chance.random() < 0.7:
            network = f"10.0.0.{chance.randint(0, 63)}/{chance.randint(24, 32)}"
        else:
            network = f"fd00::{chance.randint(0, 31):x}/{chance.randint(122, 128)}"
        rules.append((chance.choice(["allow", "deny"]), network))
    if chance.random() < 0.7:
        rules.append((chance.choice(["allow", "deny"]), "all"))
    return rules


def _nginx(rules: list[tuple[str, str]], client: str) -> bool:
    """Whether the first rule that fits lets a client in."""
    address = ip_address(client)
    for kind, network in rules:
        if network == "all" or address in ip_network(network, strict=False):
            return kind == "allow"
    return True


def _ours(access: Access | None, client: str) -> bool:
    """Whether the middleware lets it in."""
    if access is None:
        return True
    address = ip_address(client)

    def has(networks: tuple[str, ...]) -> bool:
        return any(address in ip_network(one) for one in networks)

    if access.is_closed or has(access.denied):
        return False
    return not access.allowed or has(access.allowed)


def test_random_rules_let_in_the_same_clients() -> None:
    chance = random.Random(11)  # noqa: S311 - the same rules each time
    clients = [f"10.0.0.{n}" for n in range(64)] + [f"fd00::{n:x}" for n in range(32)]
    clients += ["192.0.2.1", "2001:db8::1"]
    kinds = {"open": 0, "closed": 0, "computed": 0, "plain": 0}
    for _ in range(400):
        rules = _random_rules(chance)
        access = found("".join(f"{kind} {network};" for kind, network in rules))
        for client in clients:
            assert _ours(access, client) == _nginx(rules, client), (rules, access, client)
        kinds[
            "open"
            if access is None
            else "closed"
            if access.is_closed
            else "computed"
            if access.computed
            else "plain"
        ] += 1
    assert all(count > 10 for count in kinds.values()), kinds


def test_rules_that_make_too_many_networks_are_kept() -> None:
    rules = "".join(f"allow fd00::{n:x}; " for n in range(MOST))
    with pytest.raises(NotExpressibleError, match="too many networks"):
        found(f"{rules} deny fd00::/16; allow all;")

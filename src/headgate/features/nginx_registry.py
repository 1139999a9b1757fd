"""Lists how matches read in nginx, one line each, and finds the `nginx.py` of each middleware and
each balancer.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol, cast

from headgate.features.base import AnyMiddlewareNode
from headgate.features.folders import module_of
from headgate.features.match.client import nginx as client
from headgate.features.match.client_certificate import nginx as client_certificate
from headgate.features.match.client_subject import nginx as client_subject
from headgate.features.match.cookie import nginx as cookie
from headgate.features.match.header import nginx as header
from headgate.features.match.method import nginx as method
from headgate.features.match.path import nginx as path
from headgate.features.match.query import nginx as query
from headgate.features.middleware.redirect import nginx as redirect
from headgate.features.middleware.respond import nginx as respond
from headgate.features.nginx import About, Parity, Shared
from headgate.features.nginx_balance import Has, Method
from headgate.features.nginx_chain import Chain
from headgate.features.nodes import balancer_of, node_of
from headgate.features.registry import BALANCERS, MIDDLEWARES
from headgate.nginxtext.writer import Var
from headgate.plan.balance import AnyBalancerNode, Balance
from headgate.plan.middleware import Step
from headgate.plan.objects import Match


class Rendering(Protocol):
    """The `nginx.py` of a middleware."""

    PARITY: Sequence[Parity]

    def apply(self, node: AnyMiddlewareNode, chain: Chain, about: About) -> None:
        """Adds the middleware to a chain, or says why nginx cannot."""


class Balancing(Protocol):
    """The `nginx.py` of a balancer; `LUA` may be the call of the Lua balancer that chooses so."""

    PARITY: Sequence[Parity]

    def method(self, node: AnyBalancerNode, shared: Shared, has: Has, about: About) -> Method:
        """Returns the directives of the balancer, or says why nginx cannot."""


_MIDDLEWARES: Final = {
    feature.key: cast(Rendering, module_of("middleware", feature.key, "nginx"))
    for feature in MIDDLEWARES
}

_BALANCERS: Final = {
    feature.key: cast(Balancing, module_of("balancer", feature.key, "nginx"))
    for feature in BALANCERS
}

LUA_CALLS: Final[dict[str, bytes]] = {
    key: one.LUA for key, one in _BALANCERS.items() if hasattr(one, "LUA")
}
"""The balancers that the Lua balancer knows, and the function of each."""

PARITY: Final[tuple[Parity, ...]] = (
    *path.PARITY,
    *method.PARITY,
    *header.PARITY,
    *cookie.PARITY,
    *query.PARITY,
    *client.PARITY,
    *client_subject.PARITY,
    *client_certificate.PARITY,
    *(line for one in _MIDDLEWARES.values() for line in one.PARITY),
    *(line for one in _BALANCERS.values() for line in one.PARITY),
)

literal_prefix: Final = path.literal_prefix
"""Text that every path begins with that an expression matches."""


def balanced(balance: Balance, shared: Shared, has: Has, about: About) -> Method:
    """Returns the directives of a balancer, or says why nginx cannot."""
    node = balancer_of(balance)
    key = f"balance.{balance.kind}" if type(node).__struct_fields__ else "balance"
    return _BALANCERS[balance.kind].method(node, shared, has, about.at(key))


def lua_call(balance: Balance) -> bytes | None:
    """Returns the Lua balancer's function that chooses as a balancer does; None if it has none."""
    return LUA_CALLS.get(balance.kind)


def conditions(match: Match, shared: Shared, about: About) -> tuple[Var, ...]:
    """Returns a variable for each condition of a match that locations do not hold: `1` when it
    does, `UNDECIDED` when nginx gave up on it.
    """
    found: list[Var | None] = []
    if match.path is not None and match.path.regex is not None:
        with about.guarded("path.regex"):
            found.append(path.condition(match.path.regex, shared))
    if match.methods:
        with about.guarded("methods"):
            found.append(method.condition(match.methods, shared))
    for name, rule in match.headers.items():
        one = about.at(f"headers.{name}")
        with one.guarded(""):
            found.append(header.condition(name, rule, shared, one))
    for name, rule in match.cookies.items():
        with about.guarded(f"cookies.{name}"):
            found.append(cookie.condition(name, rule, shared))
    for name, rule in match.query.items():
        one = about.at(f"query.{name}")
        with one.guarded(""):
            found.append(query.condition(name, rule, shared, one))
    if match.client:
        found.append(client.condition(match.client, shared))
    if match.client_subject is not None:
        one = about.at("client_subject")
        with one.guarded(""):
            found.append(client_subject.condition(match.client_subject, shared, one))
    if match.client_certificate is not None:
        one = about.at("client_certificate")
        with one.guarded(""):
            found.append(client_certificate.condition(match.client_certificate, shared, one))
    return tuple(variable for variable in found if variable is not None)


def expressions(match: Match) -> Iterator[tuple[str, str]]:
    """Yields the expressions that people wrote into a match, each with its key."""
    if match.path is not None and match.path.regex is not None:
        yield "path.regex", match.path.regex
    tables = (("headers", match.headers), ("cookies", match.cookies), ("query", match.query))
    rules = [(f"{key}.{name}", rule) for key, found in tables for name, rule in found.items()]
    if match.client_subject is not None:
        rules.append(("client_subject", match.client_subject))
    for key, rule in rules:
        if rule.regex is not None:
            yield f"{key}.regex", rule.regex


def may_give_up(match: Match) -> bool:
    """Reports whether nginx may give up on one of these conditions (`Shared.judged`)."""
    return match.client_certificate is not None or any(True for _ in expressions(match))


def add_middleware(step: Step, chain: Chain, about: About) -> None:
    """Adds one middleware to a chain; nothing that follows an answer is reached."""
    node = node_of(step)
    if chain.answer is None and node is not None:
        with about.guarded(step.kind):
            _MIDDLEWARES[step.kind].apply(node, chain, about.at(step.kind))


add_redirect: Final = redirect.apply
add_respond: Final = respond.apply

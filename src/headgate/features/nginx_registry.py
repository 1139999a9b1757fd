"""Lists how matches and balancers read in nginx, one line each, and finds the `nginx.py` of each
middleware.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

from headgate.features.balancer.least_conn import nginx as least_conn
from headgate.features.balancer.maglev import nginx as maglev
from headgate.features.balancer.p2c import nginx as p2c
from headgate.features.balancer.random import nginx as random
from headgate.features.balancer.ring_hash import nginx as ring_hash
from headgate.features.balancer.round_robin import nginx as round_robin
from headgate.features.base import AnyMiddlewareNode
from headgate.features.folders import module_of
from headgate.features.match.client import nginx as client
from headgate.features.match.client_subject import nginx as client_subject
from headgate.features.match.header import nginx as header
from headgate.features.match.method import nginx as method
from headgate.features.match.path import nginx as path
from headgate.features.match.query import nginx as query
from headgate.features.middleware.redirect import nginx as redirect
from headgate.features.middleware.respond import nginx as respond
from headgate.features.nginx import About, Parity, Shared
from headgate.features.nginx_balance import Has, Method
from headgate.features.nginx_chain import Chain
from headgate.features.nodes import node_of
from headgate.features.registry import MIDDLEWARES
from headgate.nginxtext.writer import Var
from headgate.plan.middleware import Step
from headgate.plan.objects import Balance, HashBalance, Match


class Rendering(Protocol):
    """The `nginx.py` of a middleware."""

    PARITY: Sequence[Parity]

    def apply(self, node: AnyMiddlewareNode, chain: Chain, about: About) -> None:
        """Adds the middleware to a chain, or says why nginx cannot."""


_MIDDLEWARES: Final = {
    feature.key: cast(Rendering, module_of(feature.key, "nginx")) for feature in MIDDLEWARES
}

PARITY: Final[tuple[Parity, ...]] = (
    *path.PARITY,
    *method.PARITY,
    *header.PARITY,
    *query.PARITY,
    *client.PARITY,
    *client_subject.PARITY,
    *(line for one in _MIDDLEWARES.values() for line in one.PARITY),
    *round_robin.PARITY,
    *least_conn.PARITY,
    *random.PARITY,
    *p2c.PARITY,
    *ring_hash.PARITY,
    *maglev.PARITY,
)

BALANCERS: Final[dict[str, Callable[[Balance, Shared, Has, About], Method]]] = {
    "round_robin": round_robin.method,
    "least_conn": least_conn.method,
    "random": random.method,
    "p2c": p2c.method,
    "ring_hash": ring_hash.method,
    "maglev": maglev.method,
}

literal_prefix: Final = path.literal_prefix
"""Text that every path begins with that an expression matches."""


def balance_key(balance: Balance) -> str:
    """Returns the word of a policy."""
    if isinstance(balance, HashBalance):
        return "ring_hash" if balance.ring_hash is not None else "maglev"
    return balance


def conditions(match: Match, shared: Shared, about: About) -> tuple[Var, ...]:
    """Returns a variable for each condition of a match
    that locations do not hold: `1` when it does.
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
    return tuple(variable for variable in found if variable is not None)


def add_middleware(step: Step, chain: Chain, about: About) -> None:
    """Adds one middleware to a chain; nothing that follows an answer is reached."""
    node = node_of(step)
    if chain.answer is None and node is not None:
        with about.guarded(step.kind):
            _MIDDLEWARES[step.kind].apply(node, chain, about.at(step.kind))


add_redirect: Final = redirect.apply
add_respond: Final = respond.apply

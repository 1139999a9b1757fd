"""`concurrency_limit` in nginx: `limit_conn`, which counts requests in progress."""

from typing import Final

from headgate.features import nginx_limits
from headgate.features.middleware.concurrency_limit.spec import ConcurrencyLimitNode
from headgate.features.nginx import JOINED, About, Parity
from headgate.features.nginx_chain import Chain
from headgate.features.nginx_limits import STATUS, Limit, Zone

_KEY: Final = "middlewares.NAME.concurrency_limit"

PARITY: Final = (
    Parity(
        f"{_KEY}.requests",
        "differs",
        "at most 65535; a route that answers by itself after the limit is refused",
    ),
    Parity(
        f"{_KEY}.key",
        "differs",
        "header names of letters, digits and hyphens, others and `jwt:CLAIM` are refused; "
        "long values are told apart by their last 190 bytes, of several parts by fewer; "
        f"{JOINED}",
    ),
    Parity(f"{_KEY}.ipv6_prefix", "differs", "whole bytes, others are refused"),
    Parity(
        f"{_KEY}.dry_run",
        "differs",
        "one answer for all concurrency limits of a route; refused beside "
        "`node.limits.connections_per_client`",
    ),
    Parity(
        f"{_KEY}.status",
        "differs",
        "429 alone, which is then the answer over `limits.connections_per_client`, too",
    ),
    Parity(f"{_KEY}.max_keys", "differs", "a zone of 128 bytes for each; long keys take more"),
)

_MOST: Final = 65_535


def apply(node: ConcurrencyLimitNode, chain: Chain, about: About) -> None:
    """Adds a limit to a chain."""
    if node.status != STATUS:
        about.refuse("status", "nginx has the answer of 429 alone for requests over a limit")
    if node.requests > _MOST:
        about.refuse("requests", f"nginx counts {_MOST} requests of a key at most")
        return
    of = Zone(node.key, node.ipv6_prefix, node.max_keys)
    name = nginx_limits.zone("limit_conn", of, chain.shared, about, chain.scope.route)
    chain.limit(Limit(about, "limit_conn", (name, str(node.requests)), node.dry_run, 1))

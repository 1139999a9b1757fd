"""`rate_limit` in nginx: `limit_req` with a zone for each limit."""

from typing import Final

from headgate.features import nginx_limits
from headgate.features.middleware.rate_limit.spec import RateLimitNode
from headgate.features.nginx import JOINED, About, Parity
from headgate.features.nginx_chain import Chain
from headgate.features.nginx_limits import STATUS, Limit, Zone

_KEY: Final = "middlewares.NAME.rate_limit"

PARITY: Final = (
    Parity(
        f"{_KEY}.rate.requests",
        "differs",
        "whole requests in a second or a minute, others are refused; a route that answers by "
        "itself after the limit is refused",
    ),
    Parity(f"{_KEY}.rate.per", "differs", "nginx counts milliseconds"),
    Parity(f"{_KEY}.burst", "same", "`burst` less one, with `nodelay`"),
    Parity(
        f"{_KEY}.delay_above",
        "differs",
        "`delay`, less one; any number waits, and of several limits of a route the longest time",
    ),
    Parity(
        f"{_KEY}.key",
        "differs",
        "header names of letters, digits and hyphens, others and `jwt:CLAIM` are refused; "
        f"{JOINED}; where several limits apply, a request that one of them refuses counts for none",
    ),
    Parity(f"{_KEY}.ipv6_prefix", "differs", "whole bytes, others are refused"),
    Parity(f"{_KEY}.cost", "no", "nginx counts each request as one; others are refused"),
    Parity(f"{_KEY}.dry_run", "differs", "one answer for all rate limits of a route"),
    Parity(
        f"{_KEY}.status",
        "differs",
        "429 alone; the answer has no RateLimit fields, and `Retry-After` says the time of one "
        "request",
    ),
    Parity(f"{_KEY}.announce", "no", "nginx does not say how many requests are left; refused"),
    Parity(f"{_KEY}.across", "no", '`"nodes"` is refused'),
    Parity(f"{_KEY}.when_away", "no", "belongs to limits across nodes, which are refused"),
    Parity(
        f"{_KEY}.max_keys",
        "differs",
        "a zone of 128 bytes for each; long keys take more, and keys used longest ago give way",
    ),
)

_SECOND_MS: Final = 1_000
_MINUTE_MS: Final = 60_000


def apply(node: RateLimitNode, chain: Chain, about: About) -> None:
    """Adds a limit to a chain."""
    if node.cost != 1:
        about.refuse("cost", "nginx counts each request as one")
    if node.status != STATUS:
        about.refuse("status", "nginx has the answer of 429 alone for requests over a limit")
    if node.announce:
        about.refuse("announce", "nginx does not say how many requests are left")
    if node.across != "node":
        about.refuse("across", "nginx counts on each node alone")
    rate = _rate(node)
    if rate is None:
        about.refuse("rate", "nginx counts whole requests in a second or a minute")
        return
    of = Zone(node.key, node.ipv6_prefix, node.max_keys)
    name = nginx_limits.zone(
        "limit_req", of, chain.shared, about, chain.scope.route, f"rate={rate}"
    )
    words = (f"zone={name}", *nginx_limits.burst(node.most, node.at_once))
    again = -(-node.period_ms // (node.requests * 1_000))
    chain.limit(Limit(about, "limit_req", words, node.dry_run, max(again, 1)))


def _rate(node: RateLimitNode) -> str | None:
    """Returns nginx's word for a rate; None if it has none."""
    for unit_ms, unit in ((_SECOND_MS, "s"), (_MINUTE_MS, "m")):
        requests, rest = divmod(node.requests * unit_ms, node.period_ms)
        if requests and not rest:
            return f"{requests}r/{unit}"
    return None

"""Lists the features: one line each."""

from typing import Final

from headgate.features.balancer.least_conn.spec import LeastConn
from headgate.features.balancer.maglev.spec import Maglev
from headgate.features.balancer.p2c.spec import P2c
from headgate.features.balancer.random.spec import Random
from headgate.features.balancer.ring_hash.spec import RingHash
from headgate.features.balancer.round_robin.spec import RoundRobin
from headgate.features.base import BalancerOptions, MatchCondition
from headgate.features.folders import middlewares
from headgate.features.match.client.spec import Client
from headgate.features.match.client_subject.spec import ClientSubject
from headgate.features.match.header.spec import Headers
from headgate.features.match.method.spec import Methods
from headgate.features.match.path.spec import Path
from headgate.features.match.query.spec import Query

MATCHES: Final[tuple[type[MatchCondition], ...]] = (
    Path,
    Methods,
    Headers,
    Query,
    Client,
    ClientSubject,
)

MIDDLEWARES: Final = middlewares(
    "rewrite",
    "redirect",
    "request_headers",
    "response_headers",
    "respond",
    "ip_access",
    "client_certificate",
    "cors",
    "api_key",
    "basic_auth",
    "jwt",
    "forward_auth",
    "fault",
    "compress",
    "error_pages",
    "rate_limit",
    "concurrency_limit",
    "bandwidth",
)

BALANCERS: Final[tuple[type[BalancerOptions], ...]] = (
    RoundRobin,
    LeastConn,
    Random,
    P2c,
    RingHash,
    Maglev,
)

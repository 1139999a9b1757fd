"""Lists the features: one line each."""

from typing import Final

from headgate.features.base import MatchCondition
from headgate.features.folders import balancers, middlewares
from headgate.features.match.client.spec import Client
from headgate.features.match.client_certificate.spec import ClientCertificate
from headgate.features.match.client_subject.spec import ClientSubject
from headgate.features.match.cookie.spec import Cookies
from headgate.features.match.header.spec import Headers
from headgate.features.match.method.spec import Methods
from headgate.features.match.path.spec import Path
from headgate.features.match.query.spec import Query

MATCHES: Final[tuple[type[MatchCondition], ...]] = (
    Path,
    Methods,
    Headers,
    Cookies,
    Query,
    Client,
    ClientSubject,
    ClientCertificate,
)

MIDDLEWARES: Final = middlewares(
    "rewrite",
    "redirect",
    "request_headers",
    "response_headers",
    "expires",
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
    "decompress",
    "error_pages",
    "rate_limit",
    "concurrency_limit",
    "bandwidth",
)

BALANCERS: Final = balancers(
    "round_robin",
    "least_conn",
    "random",
    "p2c",
    "ring_hash",
    "maglev",
)

"""headgate for Python programs: its routes, breakers, retries, balancers, and a whole data plane.

`import headgate` offers everything here under `headgate.NAME`; it is imported when first asked for.
Decisions are those of the engine, by the same code.
"""

from headgate.library.balancer import LoadBalancer, Picked
from headgate.library.breaker import CircuitBreaker, OpenError
from headgate.library.compiled import ConfigError
from headgate.library.limiter import Decision, RateLimiter
from headgate.library.listener import Listener, TlsConfig
from headgate.library.matching import CookieMatch, HeaderMatch, MethodMatch, PathMatch
from headgate.library.process import ProxyError
from headgate.library.proxy import Proxy
from headgate.library.retry import Retry, RetryBudget
from headgate.library.router import Route, Router

__all__ = [
    "CircuitBreaker",
    "ConfigError",
    "CookieMatch",
    "Decision",
    "HeaderMatch",
    "Listener",
    "LoadBalancer",
    "MethodMatch",
    "OpenError",
    "PathMatch",
    "Picked",
    "Proxy",
    "ProxyError",
    "RateLimiter",
    "Retry",
    "RetryBudget",
    "Route",
    "Router",
    "TlsConfig",
]

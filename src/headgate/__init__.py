"""headgate: an edge proxy and fleet manager, and the library that Python programs use of it.

The names below are those of `headgate.library`, imported when one is first asked for: the processes
of a node import this package, too, and need none of them.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.library import (
        CircuitBreaker,
        ConfigError,
        CookieMatch,
        Decision,
        HeaderMatch,
        Listener,
        LoadBalancer,
        MethodMatch,
        OpenError,
        PathMatch,
        Picked,
        Proxy,
        ProxyError,
        RateLimiter,
        Retry,
        RetryBudget,
        Route,
        Router,
        TlsConfig,
    )

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


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'headgate' has no attribute {name!r}")
    from headgate import library

    return getattr(library, name)

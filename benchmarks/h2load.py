"""The client of HTTP/2: h2load of nghttp2, in a closed loop of so many streams per connection."""

import re

from loads import Figures, Load, LoadError, run
from running import RunningPeer

# As large as they may be, so that no client waits for a window that itself has to open.
_WINDOWS = ("-w30", "-W30")
_SECONDS = re.compile(r"finished in ([0-9.]+)(us|ms|s)\b")
_REQUESTS = re.compile(
    r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, "
    r"(\d+) errored, (\d+) timeout"
)
_STATUSES = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def saturate(peer: RunningPeer, load: Load, seconds: float) -> Figures:
    """As many requests as it takes. Raises LoadError."""
    port = peer.place.tls_port if load.tls else peer.place.http_port
    url = f"{'https' if load.tls else 'http'}://127.0.0.1:{port}{load.path}"
    counts = ("-t1", f"-c{load.connections}", f"-m{load.streams}")
    text = run(["h2load", *counts, *_WINDOWS, f"-D{max(1, round(seconds))}", url], seconds)
    return figures(text)


def figures(text: str) -> Figures:
    """What h2load printed; it says no quantiles of latencies. Raises LoadError."""
    took, requests = _SECONDS.search(text), _REQUESTS.search(text)
    statuses = _STATUSES.search(text)
    if took is None or requests is None or statuses is None:
        raise LoadError(f"h2load says {text[-300:]!r}")
    succeeded, failed, errored, late = (int(one) for one in requests.groups())
    good, *others = (int(one) for one in statuses.groups())
    errors = {"failed": failed, "error": errored, "timeout": late, "status": sum(others)}
    return Figures(
        requests=min(succeeded, good),
        seconds=float(took[1]) * _UNITS[took[2]],
        p50=0.0,
        p99=0.0,
        p999=0.0,
        errors=errors,
    )

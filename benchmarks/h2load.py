"""The client of HTTP/2: h2load of nghttp2, in a closed loop of so many streams per connection."""

import re
from pathlib import Path

from loads import Figures, Load, LoadError, run
from running import RunningPeer
from workdir import WORK

# As large as they may be, so that no client waits for a window that itself has to open.
_WINDOWS = ("-w30", "-W30")
_SECONDS = re.compile(r"finished in ([0-9.]+)(us|ms|s)\b")
_REQUESTS = re.compile(
    r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, "
    r"(\d+) errored, (\d+) timeout"
)
_STATUSES = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")
_CALL = b"\0\0\0\0\x0d\x0a\x0bhello there"
"""A message of gRPC: not compressed, 13 bytes, its only field is text."""
_CALL_FIELDS = ("-H", "content-type: application/grpc", "-H", "te: trailers")
_DATA = re.compile(r"\((\d+)\) data$", re.MULTILINE)
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


def saturate(peer: RunningPeer, load: Load, seconds: float) -> Figures:
    """As many requests as it takes. Raises LoadError."""
    url = _url(peer, load)
    call = ("-d", str(_message()), *_CALL_FIELDS) if load.grpc else ()
    counts = ("-t1", f"-c{load.connections}", f"-m{load.streams}")
    text = run(["h2load", *counts, *_WINDOWS, *call, f"-D{max(1, round(seconds))}", url], seconds)
    seen = figures(text)
    if load.grpc:
        check_messages(text, seen.requests)
    return seen


def check_messages(text: str, calls: int) -> None:
    """Sees to it that the answers were messages: a failure of gRPC is a 200 without one.

    Raises LoadError when more than one call in 1,000 got none.
    """
    found = _DATA.search(text)
    if found is None or int(found[1]) < len(_CALL) * calls * 0.999:
        raise LoadError(f"calls were not answered with messages: {text[-300:]!r}")


def check_call(peer: RunningPeer, load: Load) -> None:
    """Makes one call and looks at its trailers, which h2load does not. Raises LoadError."""
    text = run(["nghttp", "-nv", "-d", str(_message()), *_CALL_FIELDS, _url(peer, load)], 1)
    if not re.search(r"recv \(stream_id=\d+\) grpc-status: 0\b", text):
        raise LoadError(f"a call does not end with grpc-status 0: {text[-300:]!r}")


def _url(peer: RunningPeer, load: Load) -> str:
    port = peer.place.tls_port if load.tls else peer.place.http_port
    return f"{'https' if load.tls else 'http'}://127.0.0.1:{port}{load.path}"


def _message() -> Path:
    path = WORK / "call"
    if not path.exists() or path.read_bytes() != _CALL:
        path.write_bytes(_CALL)
    return path


def figures(text: str) -> Figures:
    """Parses the output of h2load, which has no quantiles of latencies. Raises LoadError."""
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

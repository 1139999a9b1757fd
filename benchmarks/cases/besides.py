"""The figures of a run besides times: lines of the log, bytes of a coding, spans."""

import http.client
from pathlib import Path

from loads import Load, LoadError
from peers.features import LEVELS
from peers.headgate import Headgate, metric
from results import Metrics
from running import RunningPeer

_COUNTED = {"exported": "headgate_traces_exported_total", "lost": "headgate_traces_dropped_total"}
_ACROSS = {
    "charged": "headgate_limit_store_charged_total",
    "lost": "headgate_limit_store_lost_total",
}


def besides(one: RunningPeer, load: Load) -> Metrics:
    """Returns figures by its job; none for most. Raises LoadError if an answer is not coded."""
    found: Metrics = {}
    is_ours = isinstance(one.peer, Headgate)
    state = one.place.folder / "s"
    if one.setup.access_log:
        found["log_bytes"] = float(one.place.access_log.stat().st_size)
        if is_ours:
            found["dropped"] = metric(state, "headgate_access_log_dropped_total")
    if one.setup.feature in LEVELS:
        found["coded_bytes"] = float(_coded_bytes(one, load))
    if is_ours and one.setup.feature.startswith("traces"):
        found |= {key: metric(state, name) for key, name in _COUNTED.items()}
    if is_ours and one.setup.feature == "limit-across":
        found |= _counted_across(state)
    return found


def _counted_across(state: Path) -> Metrics:
    """Returns the counts of the store of limits. Raises LoadError if it counts nothing."""
    if metric(state, "headgate_limit_store_away"):
        raise LoadError("the store of limits is away")
    found = {key: metric(state, name) for key, name in _ACROSS.items()}
    if not found["charged"]:
        raise LoadError("the store of limits was told of nothing")
    return found


def _coded_bytes(one: RunningPeer, load: Load) -> int:
    """Returns the length of the answer in its coding."""
    connection = http.client.HTTPConnection("127.0.0.1", one.place.http_port, timeout=10)
    try:
        connection.request("GET", load.path, headers=dict(load.headers))
        answer = connection.getresponse()
        body, coding = answer.read(), answer.getheader("content-encoding")
    except (OSError, http.client.HTTPException) as error:
        raise LoadError(f"one answer of {load.path}: {error}") from error
    finally:
        connection.close()
    if coding != one.setup.feature:
        raise LoadError(f"an answer has the coding {coding}, not {one.setup.feature}")
    return len(body)

"""Types for what can be seen of an nginx after a signal.

`headgate.engines.nginx.apply.looking` collects it, `headgate.engines.nginx.apply.verdict` judges.
"""

from dataclasses import dataclass, field
from typing import Literal

from headgate.engines.nginx.common.types import Process, ServedName

LineKind = Literal["emerg", "bind_retry", "fatal_exit", "killed"]
"""`bind_retry`: nginx says that a bind failed and tries again (five times, 500 ms apart)."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the error log that speaks of the reload. `worker` is the pid it names, or 0."""

    kind: LineKind
    text: str
    worker: int = 0


@dataclass(frozen=True, slots=True)
class LogSeen:
    """The lines logged by the master since the mark; unknown where the log is absent or was cut."""

    lines: tuple[LogLine, ...] = ()
    is_known: bool = True
    why_unknown: str = ""


@dataclass(frozen=True, slots=True)
class Probe:
    """A user's own check: a request to `address` with this Host must get this status.

    `tls` speaks TLS with `host` as SNI, `proxy` sends a PROXY header first (the listener expects
    one).
    """

    address: str
    host: str
    path: str = "/"
    status: int = 200
    tls: bool = False
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class Expectation:
    """The conditions that prove a generation.

    `needs_new_workers`: only workers that were not there at the mark count; False after a reload
    that nginx refused, where the old ones must still be there. `listeners`, `names` and `probes`
    are those to try; `workers` is the least number of workers, from 1.
    """

    generation: int
    workers: int
    needs_new_workers: bool = True
    listeners: tuple[str, ...] = ()
    names: tuple[ServedName, ...] = ()
    probes: tuple[Probe, ...] = ()
    proxied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Observation:
    """One look. `answers` are the generations that fresh connections report, None for no answer.

    `before` are the pids of the workers at the mark, `old` those of them that still accept.
    `faults` says which listeners, names and probes failed; None = not tried.
    """

    has_master: bool
    new: frozenset[Process] = frozenset()
    old: frozenset[Process] = frozenset()
    draining: frozenset[Process] = frozenset()
    before: frozenset[int] = frozenset()
    answers: tuple[int | None, ...] = ()
    log: LogSeen = field(default_factory=LogSeen)
    faults: tuple[str, ...] | None = None

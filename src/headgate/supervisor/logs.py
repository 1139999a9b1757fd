"""Writes the supervisor's log lines: JSON on standard error, or plain words on a terminal."""

from __future__ import annotations

import json
import sys
import time

from headgate.supervisor.stderr import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from headgate.supervisor.events import Message


_LEVELS = ("debug", "info", "warning", "error")
_least = "info"
_named: Message = {"process": "supervisor"}


def set_level(level: str) -> None:
    """Leaves out lines below `level`: `error`, `warn`, `info` or `debug`."""
    global _least  # noqa: PLW0603 - one process, one standard error
    _least = "warning" if level == "warn" else level if level in _LEVELS else "info"


def name(fields: Message) -> None:
    """Adds what tells this process from others of the host to each line."""
    _named.update(fields)


def write(level: str, event: str, fields: Message) -> None:
    """Writes one line; a closed or full standard error does not stop the supervisor."""
    if _LEVELS.index(level) < _LEVELS.index(_least):
        return
    now = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    if sys.stderr is not None and sys.stderr.isatty():
        told = {key: value for key, value in _named.items() if key != "process"} | fields
        words = " ".join(f"{key}={value}" for key, value in told.items())
        line = f"{stamp} [{level:<7}] {event} {words}".rstrip()
    else:
        record: Message = {"timestamp": stamp, "level": level, "event": event}
        line = json.dumps(record | _named | fields, default=str)
    say(line)

"""Reads lines of access logs, says which ones a search wants, leaves out what is secret. Pure."""

import re
from datetime import datetime
from typing import Any, Final, NamedTuple

import msgspec

from headgate.fleet.searches import LogLine, LogSearch
from headgate.kernel.redaction import SHOWN, Hidden, names_secret

LINE_BYTES: Final = 16 << 10
"""The most bytes of a line that are shown."""
_MS: Final = 1000
# What a client sent stands between the quotes: nothing there may be looked at again and again.
_COMBINED: Final = re.compile(r'\S+ \S+ \S+ \[([^\]]*)\] "([^" ]*+) ?([^" ]*+)[^"]*+" (\d{3}) ')
_TIME: Final = "%d/%b/%Y:%H:%M:%S %z"
_LATEST_MS: Final = 253_402_300_799_999  # the end of the year 9999


class Read(NamedTuple):
    """A line of a log, as far as searches need it; what its format does not say is empty."""

    at_ms: int
    status: str
    host: str
    target: str


def read(line: str) -> Read | None:
    """Returns what a line says, of our JSON, the combined or the common format; None for others.

    >>> read('a - - [20/Nov/2026:08:59:02 +0000] "GET /v1?a=b HTTP/1.1" 200 12 "-" "-" 0.1 -')
    Read(at_ms=1795165142000, status='200', host='', target='/v1?a=b')
    >>> read('a - - [20/Nov/2026:08:59:02 +0000] "GET /v1?a=b HTTP/1.1" 200 12').status
    '200'
    """
    if line.startswith("{"):
        return _json(line)
    found = _COMBINED.match(line)
    if found is None:
        return None
    try:
        at_ms = _unix_ms(datetime.strptime(found[1], _TIME))
    except (ValueError, OverflowError):
        return None
    return Read(at_ms, found[4], "", found[3])


def _json(line: str) -> Read | None:
    try:
        said: Any = msgspec.json.decode(line)
        at_ms = _unix_ms(datetime.fromisoformat(str(said["time"])))
        texts = (str(said.get(name, "")) for name in ("status", "host", "target"))
        return Read(at_ms, *texts)
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError, ValueError, OverflowError):
        return None
    except RecursionError:  # nobody's request log; it may nest as deep as it likes
        return None


def _unix_ms(at: datetime) -> int:
    return min(max(round(at.timestamp() * _MS), 0), _LATEST_MS)


def wanted(search: LogSearch, found: Read, line: str, hidden: Hidden) -> LogLine | None:
    """Returns a line as it may be shown; None for one that a search does not want.

    A host that a line does not say is not the one wanted. The path and the text are looked for in
    what may be shown, so that nobody finds out a secret by searching for it.
    """
    if search.since_ms > found.at_ms or not is_status(search.status, found.status):
        return None
    if search.host and _name(found.host) != _name(search.host):
        return None
    if not hidden.value(found.target).startswith(search.path):
        return None
    text = search.text.lower()
    if text not in line.lower():
        return None
    whole = redacted_line(line, hidden)
    return LogLine(found.at_ms, shortened(whole)) if text in whole.lower() else None


def is_status(pattern: str, status: str) -> bool:
    """Says whether a status is the wanted one, or of the wanted class.

    >>> is_status("5xx", "502"), is_status("404", "40"), is_status("", "200")
    (True, False, True)
    """
    if not pattern:
        return True
    pairs = zip(pattern.lower(), status, strict=False)
    return len(pattern) == len(status) and all(a in {"x", b} for a, b in pairs)


def _name(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() else host.lower()


def redacted_line(line: str, hidden: Hidden) -> str:
    """Returns a line without what is hidden, credentials, and values of fields whose name says that
    they are secret."""
    if line.startswith("{"):
        try:
            said = _shown(msgspec.json.decode(line), hidden)
            return hidden.line(msgspec.json.encode(said).decode())
        except RecursionError:  # what nests so deep is nothing that a proxy wrote
            return SHOWN
    return hidden.line(line)


def _shown(value: Any, hidden: Hidden) -> Any:
    """Returns a value of JSON without what is secret; raises RecursionError."""
    if isinstance(value, str):
        return hidden.value(value)
    if isinstance(value, list):
        return [_shown(one, hidden) for one in value]
    if isinstance(value, dict):
        return {
            hidden.value(key): SHOWN if names_secret(key) and one else _shown(one, hidden)
            for key, one in value.items()
        }
    return value


def shortened(text: str) -> str:
    """Returns as much of a text as is shown of a line."""
    return text.encode(errors="replace")[:LINE_BYTES].decode(errors="ignore")

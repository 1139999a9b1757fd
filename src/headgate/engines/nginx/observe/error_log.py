"""Counts nginx's error log by what its lines mean, and picks what to report at once. Pure.

<https://nginx.org/en/docs/ngx_core_module.html#error_log>
"""

import re
from collections import Counter, deque
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

Level = Literal["debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"]

Kind = Literal[
    "connections_exhausted",
    "files_exhausted",
    "disk_full",
    "worker_died",
    "config_rejected",
    "certificate",
    "upstream_connect",
    "upstream_timeout",
    "upstream_closed",
    "upstream_invalid",
    "upstream_none_left",
    "limited",
    "client",
    "other",
]
"""The subject of a message; `upstream_…` are failures of endpoints, `limited`
and `client` are not failures of ours.
"""

GRAVE: Final[frozenset[Level]] = frozenset(("crit", "alert", "emerg"))

_KEPT: Final = 50
_MESSAGE_LENGTH: Final = 512
_LEVELS: Final[dict[str, Level]] = {
    "debug": "debug",
    "info": "info",
    "notice": "notice",
    "warn": "warn",
    "error": "error",
    "crit": "crit",
    "alert": "alert",
    "emerg": "emerg",
}
_LINE: Final = re.compile(
    rf"(\d{{4}}/\d\d/\d\d \d\d:\d\d:\d\d) \[({'|'.join(_LEVELS)})\]"
    r" (\d+)#\d+: (?:\*\d+ )?(.*)",
    re.DOTALL,
)
_UPSTREAM: Final = re.compile(r', upstream: "([^"]*)"')

_MEANINGS: Final[tuple[tuple[Kind, re.Pattern[str]], ...]] = (
    (
        "connections_exhausted",
        re.compile(r"worker_connections are not enough|could not allocate new connection"),
    ),
    ("files_exhausted", re.compile(r"\((?:23|24): ")),
    ("disk_full", re.compile(r"\(28: ")),
    (
        "worker_died",
        re.compile(r"exited on signal|exited with fatal code|cannot be respawned"),
    ),
    ("upstream_none_left", re.compile(r"no live upstreams")),
    ("upstream_timeout", re.compile(r"upstream timed out|\(110: .*upstream")),
    ("upstream_connect", re.compile(r"while connecting to upstream|SSL handshaking to upstream")),
    (
        "upstream_closed",
        re.compile(r"upstream prematurely closed|\(10[34]: .*(?:from|to|in) upstream"),
    ),
    (
        "upstream_invalid",
        re.compile(r"upstream sent|(?:from|in) upstream|upstream SSL certificate"),
    ),
    ("limited", re.compile(r"limiting (?:requests|connections)|delaying request")),
    ("certificate", re.compile(r"cannot load certificate|ssl_stapling|OCSP")),
    ("client", re.compile(r"client (?:sent|intended|timed out|closed|prematurely)|, client: ")),
)


class ErrorLine(msgspec.Struct, frozen=True):
    """A line; `message` without what nginx puts before it, at most 512 characters.

    `time` is as nginx writes it, local to its host. `endpoint` is the URL nginx was talking to.
    """

    time: str
    level: Level
    pid: int
    kind: Kind
    message: str
    endpoint: str = ""


def parse(line: str) -> ErrorLine | None:
    """Parses one line; None for what nginx did not write or what continues the line before.

    >>> parse("2026/11/20 08:59:02 [alert] 7#7: 512 worker_connections are not enough").kind
    'connections_exhausted'
    """
    found = _LINE.match(line)
    if found is None:
        return None
    time, word, pid, message = found.groups()
    level = _LEVELS[word]
    endpoint = _UPSTREAM.search(message)
    return ErrorLine(
        time=time,
        level=level,
        pid=int(pid),
        kind=meaning(level, message),
        message=message[:_MESSAGE_LENGTH],
        endpoint=endpoint[1] if endpoint else "",
    )


def meaning(level: Level, message: str) -> Kind:
    """Returns what a message is about.

    >>> meaning("emerg", "bind() to 0.0.0.0:80 failed (98: Address already in use)")
    'config_rejected'
    """
    for kind, pattern in _MEANINGS:
        if pattern.search(message):
            return kind
    return "config_rejected" if level == "emerg" else "other"


def is_quotable(line: ErrorLine) -> bool:
    """Reports whether to tell people now: it is grave, or a failure that loses requests."""
    if line.kind in ("limited", "client"):
        return False
    return line.level in GRAVE or (line.level == "error" and line.kind != "other")


class Told(msgspec.Struct, frozen=True):
    """An event: a line, and how many of its kind were left out since the last event."""

    line: ErrorLine
    left_out: int = 0


class ErrorWatch:
    """Counts lines, keeps the newest, and passes some on as events.

    Of each kind `burst` events pass, then one every `interval_s`.
    """

    def __init__(self, *, kept: int = _KEPT, burst: int = 5, interval_s: float = 10.0) -> None:
        self.levels: Counter[Level] = Counter()
        self.kinds: Counter[Kind] = Counter()
        self.last: deque[ErrorLine] = deque(maxlen=kept)
        """The newest lines at warn and above."""
        self._burst = burst
        self._interval_s = interval_s
        self._buckets: dict[Kind, _Bucket] = {}

    def take(self, block: bytes, now_s: float) -> Iterator[Told]:
        """Reads whole lines at `now_s` (monotonic); returns those to report, oldest first."""
        for text in block.decode(errors="replace").splitlines():
            line = parse(text)
            if line is None:
                continue
            self.levels[line.level] += 1
            self.kinds[line.kind] += 1
            if line.level in ("debug", "info", "notice"):
                continue
            self.last.append(line)
            if is_quotable(line):
                yield from self._passed(line, now_s)

    def _passed(self, line: ErrorLine, now_s: float) -> Iterator[Told]:
        bucket = self._buckets.setdefault(line.kind, _Bucket(self._burst, now_s))
        if bucket.takes(now_s, self._burst, self._interval_s):
            yield Told(line, bucket.left_out)
            bucket.left_out = 0
        else:
            bucket.left_out += 1


class _Bucket:
    """Tokens of one kind."""

    __slots__ = ("at_s", "left", "left_out")

    def __init__(self, tokens: float, at_s: float) -> None:
        self.left = float(tokens)
        self.at_s = at_s
        self.left_out = 0

    def takes(self, now_s: float, burst: int, interval_s: float) -> bool:
        self.left = min(float(burst), self.left + (now_s - self.at_s) / interval_s)
        self.at_s = now_s
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True

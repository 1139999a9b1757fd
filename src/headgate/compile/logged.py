"""Requests as access logs have them: our JSON lines, or the combined or the common format."""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from headgate.compile.routing import Question

NEEDED: Final = (
    "lines of JSON need `method`, `scheme`, `host`, `target`, `client_ip` and `listener`; others "
    "need the form of `combined` or `common`, and --base"
)
"""The contents that a line must have, for users whose log has `fields` or a `template`."""

_COMBINED: Final = re.compile(r'(\S+) \S+ \S+ \[[^\]]*\] "([A-Z]+) (\S+) HTTP/[0-9.]+" ')


class _Line(msgspec.Struct, frozen=True):
    """The fields that we need of a log line; docs/reference/access-log.md lists them all."""

    method: str
    scheme: str
    host: str
    target: str
    client_ip: str
    listener: str
    user_agent: str = ""
    referer: str = ""


_DECODER: Final = msgspec.json.Decoder(_Line)


class Logged(msgspec.Struct, frozen=True):
    """The requests of a log, each once with how often it came; `skipped` lines held none."""

    questions: list[tuple[Question, int]]
    skipped: int


def read(lines: Iterable[str], base: str | None = None) -> Logged:
    """Returns the requests of a log, in the order in which each first came.

    The combined and the common format have no host: `base` (`https://a.example`) is the target of
    their requests; without it such lines are skipped. Client addresses are kept; a log has no other
    headers, except user agent and referer in our JSON lines.
    """
    counts: Counter[bytes] = Counter()
    questions: dict[bytes, Question] = {}
    skipped = 0
    for line in lines:
        found = _question(line.strip(), base)
        if found is None:
            skipped += bool(line.strip())
            continue
        key = msgspec.json.encode(found)
        counts[key] += 1
        questions.setdefault(key, found)
    return Logged([(questions[key], count) for key, count in counts.items()], skipped)


def _question(line: str, base: str | None) -> Question | None:
    if line.startswith("{"):
        return _ours(line)
    found = _COMBINED.match(line)
    if found is None or base is None or not found[3].startswith("/"):
        return None
    return Question(url=base.rstrip("/") + found[3], method=found[2], client=found[1])


def _ours(line: str) -> Question | None:
    try:
        logged = _DECODER.decode(line)
    except ValueError:
        return None
    # A request that was refused before it was read has no target.
    if not logged.host or not logged.target.startswith("/"):
        return None
    known = {"user-agent": logged.user_agent, "referer": logged.referer}
    return Question(
        url=f"{logged.scheme}://{logged.host}{logged.target}",
        method=logged.method,
        headers={name: value for name, value in known.items() if value},
        client=logged.client_ip,
        listener=logged.listener,
    )

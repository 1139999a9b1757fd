"""Interprets what `nginx -t` prints."""

import re
from typing import Final

from headgate.engines.nginx.common.types import Tested
from headgate.engines.nginx.instance.sandbox import Ran

_LINE: Final = re.compile(
    r"(?:nginx: |\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )\[(?P<level>[a-z]+)\] (?:\d+#\d+: )?(?P<text>.*)"
)
_FATAL: Final = frozenset({"emerg", "alert", "crit"})
_LOSES_TRAFFIC: Final = (re.compile(r"conflicting server name "),)
"""Warnings after which nginx does not serve something that the config asks for."""

_BIND_REFUSED: Final = re.compile(r"bind\(\) to (\S+) failed \(13: ")
_KEPT: Final = 200


def understood(ran: Ran, *, may_bind: bool = True) -> Tested:
    """Returns problems and warnings from the output of `nginx -t`, in order,
    each once, without prefix.

    `may_bind` False: a bind refused for lack of rights, the last thing nginx tries, says nothing of
    the config and becomes a warning.
    """
    problems: dict[str, None] = {}
    warnings: dict[str, None] = {}
    unbound = None
    for line in ran.said.splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        text = found["text"].strip()
        refused = _BIND_REFUSED.match(text)
        if refused and not may_bind:
            unbound = refused[1]
        elif found["level"] in _FATAL or any(it.match(text) for it in _LOSES_TRAFFIC):
            problems[text] = None
        elif found["level"] == "warn":
            warnings[text] = None
    if unbound is not None:
        warnings[f"the test ended at the sockets: headgate may not bind {unbound}"] = None
    if ran.timed_out:
        problems["nginx -t did not end in time"] = None
    if ran.code != 0 and not problems and unbound is None:
        problems[_last(ran)] = None
    ok = not problems and (ran.code == 0 or unbound is not None)
    return Tested(ok, tuple(problems)[:_KEPT], tuple(warnings)[:_KEPT])


def _last(ran: Ran) -> str:
    said = [line for line in ran.said.splitlines() if line.strip()]
    return f"nginx -t ended with {ran.code}" + (f": {said[-1]}" if said else "")

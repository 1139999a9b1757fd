"""Says whether a search can read the lines that a config has its log write. Pure."""

from typing import Final

import msgspec

from headgate.features.templates import pieces
from headgate.fleet.searches import LogSearch
from headgate.node.agent.log_lines import read
from headgate.plan.kinds import SETTINGS_NAME, ObjectKey
from headgate.plan.plan import Plan
from headgate.plan.settings import AccessLog, Settings

_SAMPLE: Final = {
    "time": "2026-11-20T08:59:02Z",
    "status": "200",
    "host": "a.example",
    "target": "/",
}
"""The fields that searches look at."""
_REMEDY: Final = 'add it to the `fields` of [node.access_log], or write format = "json"'


def unsearchable(plan: Plan, search: LogSearch) -> str | None:
    """Returns why a search finds nothing in the log of a node with this plan; None if it may."""
    found = plan.objects.get(ObjectKey("settings", SETTINGS_NAME))
    log = found.value.access_log if found and isinstance(found.value, Settings) else None
    if log is None or not (log.fields or log.template):
        return None
    said = read(_line(log))
    if said is None and log.template is not None:
        return (
            "the access log of this node has a `template` whose lines searches cannot read; write "
            "`fields` in its place, with `time`, `status`, `host` and `target` among them"
        )
    if said is None:
        return f"the lines of this node's access log do not say their `time`; {_REMEDY}"
    asked = (("status", search.status), ("host", search.host), ("target", search.path))
    for name, wanted in asked:
        if wanted and not getattr(said, name):
            return f"the lines of this node's access log do not say the `{name}`; {_REMEDY}"
    return None


def _line(log: AccessLog) -> str:
    """Returns a line as the log has them."""
    if log.template is None:
        return msgspec.json.encode({name: _SAMPLE.get(name, "-") for name in log.fields}).decode()
    parts = pieces(log.template)
    return "".join(
        _SAMPLE.get(text, "1") if kind == "name" else "$" if kind == "dollar" else text
        for kind, text in parts
    )

"""Says which objects of a candidate an engine refused. Pure."""

from collections.abc import Iterable

from headgate.compile.quarantine import Refusal
from headgate.kernel.ids import ObjectName
from headgate.node.ports import Candidate
from headgate.plan.kinds import KINDS, ObjectKey

Named = tuple[str, str, str, str]
"""(kind, name, path in the plan's object, what is wrong)."""


def refusals(candidate: Candidate, found: Iterable[Named]) -> tuple[Refusal, ...]:
    """Returns the objects; none if one fault is not an object's, or one of the node's settings."""
    kinds = {str(kind): kind for kind in KINDS if kind != "settings"}
    refused = []
    for kind, name, path, why in found:
        known = kinds.get(kind)
        key = None if known is None else ObjectKey(known, ObjectName(name))
        if key is None or key not in candidate.plan.objects:
            return ()
        refused.append(Refusal(key, why, path))
    return tuple(refused)

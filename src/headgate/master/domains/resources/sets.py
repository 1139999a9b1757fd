"""The rule of sets: an object belongs to one set, and only writes of that set change it. Pure.

Every write of a resource, a template or a virtual host passes here.
"""

from collections.abc import Iterable
from typing import NamedTuple

from headgate.master.api.problems import Fault, ProblemError
from headgate.master.domains.resources.types import InSet


class Claim(NamedTuple):
    """A write of an object, such as `routes/api`: the set that the object belongs to (None: it is
    new), and the set that the write is of."""

    object: str
    owner: str | None
    own: InSet


def fault_of(claim: Claim, path: str = "set") -> Fault | None:
    """Returns what refuses a write: the object belongs to another set, and is not taken over."""
    own = claim.own
    if claim.owner in {None, own.set} or own.take_over:
        return None
    return Fault(
        path=path,
        detail=f'{claim.object} belongs to the set "{claim.owner}", not to "{own.set}"',
        allowed=f"write it as the set {claim.owner}, or take it over with `take_over`",
    )


def require_own(claim: Claim) -> None:
    """Raises ProblemError if the object belongs to another set, and is not taken over."""
    if fault := fault_of(claim):
        raise ProblemError(409, "other-set", f"{fault.detail}; {fault.allowed}", errors=[fault])


def faults(claims: Iterable[tuple[str, Claim]]) -> list[Fault]:
    """Returns what refuses writes, each with the path that it is listed by."""
    return [found for path, claim in claims if (found := fault_of(claim, path)) is not None]

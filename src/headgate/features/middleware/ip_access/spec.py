"""`ip_access`: let clients in by their address."""

from collections.abc import Iterator, Set
from typing import ClassVar

from pydantic import Field

from headgate.features.base import MiddlewareOptions
from headgate.features.fields import Cidr
from headgate.kernel.errors import Invalid
from headgate.plan.middleware import MiddlewareNode, Shown


class IpAccessNode(MiddlewareNode, frozen=True):
    """Networks of clients; `deny` is asked first, an empty `allow` has everybody."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    @property
    def does(self) -> str:
        """The number of networks that may pass, and of those that may not."""
        lists = (("allows", self.allow), ("denies", self.deny))
        told = [
            f"{verb} {nets[0] if len(nets) == 1 else f'{len(nets)} networks'}"
            for verb, nets in lists
            if nets
        ]
        return ", ".join(told)

    def shown(self) -> Shown:
        """Returns nothing: no request shows a network."""
        return Shown()


class IpAccess(MiddlewareOptions):
    """Let clients in by their address; others get 403."""

    key: ClassVar[str] = "ip_access"
    summary: ClassVar[str] = "Lets in clients by their address."
    node = IpAccessNode

    allow: list[Cidr] = Field(
        default_factory=list,
        description="Networks of clients that may pass; no other client may. If the list is empty, "
        "every client that is not in `deny` may pass.",
    )
    deny: list[Cidr] = Field(
        default_factory=list,
        description="Networks of clients that may not pass, even if they are in `allow`.",
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for rules that let everybody in."""
        if not (self.allow or self.deny or wrong & {"allow", "deny"}):
            yield Invalid("there is no network", "write `allow`, `deny` or both")

    def to_plan(self) -> IpAccessNode:
        """Returns the rules' plan node, each network once."""
        return IpAccessNode(
            allow=tuple(sorted(set(self.allow))), deny=tuple(sorted(set(self.deny)))
        )

"""The plan's balance policies: opaque, `{kind: node}` or the word of a kind without options.

The node of a policy stands in the folder of its feature, and mirrors the options in hg-policy.
"""

from typing import Self

from headgate.plan.node import DefaultedNode, PlanNode
from headgate.plan.opaque import Opaque, encoded


class Chooses:
    """The properties of a balancer's choice, for code that does not know the kind of the balancer.

    Mixed into the node of a balancer, which overrides what is not so for it.
    """

    __slots__ = ()

    @property
    def hashed(self) -> str:
        """The part of a request that it hashes: `client_ip`, `path`, `header:NAME`, `cookie:NAME`;
        empty for one that does not hash.
        """
        return ""


class BalancerNode(Chooses, PlanNode, frozen=True):
    """The node of a balancer whose fields, if any, are absent, empty or false by default."""


class DefaultedBalancerNode(Chooses, DefaultedNode, frozen=True):
    """The node of a balancer with defaults that are values."""


AnyBalancerNode = BalancerNode | DefaultedBalancerNode


class Balance(Opaque):
    """A balance policy, opaque: its kind and its node. Without options it is the kind's word."""

    __slots__ = ()

    what = "a balance policy"

    def canonical(self) -> object:
        """Returns what is encoded."""
        return self.kind if encoded(self._node) == b"{}" else {self.kind: self._node}

    @classmethod
    def decoded(cls, value: object) -> Self:
        """Returns the policy of a decoded word or table; raises `ValueError` for anything else."""
        return cls(**{value: {}}) if isinstance(value, str) else super().decoded(value)


ROUND_ROBIN = Balance(round_robin={})
"""The policy that a plan leaves out; it never changes."""

"""Defines what a plan carries without knowing it: a kind, and the node of that kind."""

from typing import Self, TypeVar

import msgspec

from headgate.plan.node import PlanNode, plain_text

NodeT = TypeVar("NodeT", bound=PlanNode)


class Opaque:
    """A kind and its node, or what was decoded of one; the registry of features knows the nodes.

    Equal ones have equal canonical bytes. The canonical form is `{kind: node}`.
    """

    __slots__ = ("_node", "kind")

    what = "an object"
    """The noun for it in errors."""

    kind: str
    """The word in the config."""

    def __init__(self, **chosen: object) -> None:
        """Makes one of `kind=node`; raises `ValueError` unless exactly one is given."""
        given = {key: node for key, node in chosen.items() if node is not None}
        if len(given) != 1:
            raise ValueError(f"{self.what} has one kind, not {len(given)}")
        ((self.kind, self._node),) = given.items()

    def read(self, node: type[NodeT]) -> NodeT:
        """Returns its node, decoded; raises `msgspec.ValidationError` if it is of another kind."""
        if isinstance(self._node, node):
            return self._node
        return msgspec.convert(self._node, node)

    def canonical(self) -> object:
        """Returns what is encoded."""
        return {self.kind: self._node}

    @classmethod
    def decoded(cls, value: object) -> Self:
        """Returns that of a decoded table; raises `ValueError` for anything else."""
        if not isinstance(value, dict):
            raise ValueError(f"{cls.what} is a table with one key, its kind")
        return cls(**value)

    def __eq__(self, other: object) -> bool:
        """Reports whether both have the same bytes."""
        if type(other) is not type(self) or not isinstance(other, Opaque):
            return NotImplemented
        # Not the values: a list that was decoded and the tuple of a node have equal bytes.
        return self.kind == other.kind and encoded(self._node) == encoded(other._node)

    def __hash__(self) -> int:
        """Returns the hash of the kind: nodes have maps, which have none."""
        return hash(self.kind)

    def __repr__(self) -> str:
        """Returns it as it is made."""
        return f"{type(self).__name__}({self.kind}={self._node!r})"


def encoded(node: object) -> bytes:
    """Returns the canonical bytes of a node of any kind."""
    return msgspec.json.encode(node, enc_hook=plain_text, order="sorted")

"""Reads the opaque middlewares of a plan by the registry."""

from typing import Final

from headgate.features.base import AnyMiddlewareNode
from headgate.features.registry import MIDDLEWARES
from headgate.plan.middleware import Step

_NODES: Final = {feature.key: feature.node for feature in MIDDLEWARES}


def node_of(step: Step) -> AnyMiddlewareNode | None:
    """Returns the node of a middleware; None for one that is used by its name.

    Raises `msgspec.ValidationError` for a plan that this version did not make.
    """
    node = _NODES.get(step.kind)
    return step.read(node) if node is not None else None

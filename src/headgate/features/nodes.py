"""Reads the opaque middlewares and balancers of a plan by the registry."""

from typing import Final

import msgspec

from headgate.features.base import AnyMiddlewareNode
from headgate.features.registry import BALANCERS, MIDDLEWARES
from headgate.plan.balance import AnyBalancerNode, Balance
from headgate.plan.middleware import Step

_NODES: Final = {feature.key: feature.node for feature in MIDDLEWARES}
_BALANCERS: Final = {feature.key: feature.node for feature in BALANCERS}


def node_of(step: Step) -> AnyMiddlewareNode | None:
    """Returns the node of a middleware; None for one that is used by its name.

    Raises `msgspec.ValidationError` for a plan that this version did not make.
    """
    node = _NODES.get(step.kind)
    return step.read(node) if node is not None else None


def balancer_of(balance: Balance) -> AnyBalancerNode:
    """Returns the node of a balancer.

    Raises `msgspec.ValidationError` for a plan that this version did not make.
    """
    node = _BALANCERS.get(balance.kind)
    if node is None:
        raise msgspec.ValidationError(f'there is no balance policy "{balance.kind}"')
    return balance.read(node)

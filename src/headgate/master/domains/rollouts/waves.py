"""Chooses the agents of a wave and its control. Pure."""

import hashlib
from collections.abc import Mapping

from headgate.master.domains.rollouts.spec import Spec, Wave, wanted
from headgate.master.domains.rollouts.state import Node


def members(wave: Wave, nodes: Mapping[str, Node], rollout: str) -> tuple[str, ...]:
    """Returns the agents that a wave takes: connected ones that the rollout has not reached.

    Their order is another one in each rollout, so that not the same agent is always the first.
    """
    free = sorted(
        (agent for agent, node in nodes.items() if node.is_online and not node.is_reached),
        key=lambda agent: hashlib.sha256(f"{rollout}/{agent}".encode()).digest(),
    )
    if wave.kind == "rest":
        return tuple(free)
    if wave.kind == "label":
        return tuple(one for one in free if nodes[one].labels.get(wave.name) == wave.value)
    if wave.kind == "zone":
        return tuple(one for one in free if nodes[one].zone == wave.value)
    reached = sum(node.is_reached for node in nodes.values())
    return tuple(free[: wanted(wave, len(nodes), reached)])


def control(spec: Spec, nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """Returns whom a wave is compared with: connected agents, unreached, on the old revision."""
    return tuple(
        sorted(
            agent
            for agent, node in nodes.items()
            if node.is_online and not node.is_reached and spec.base in {None, node.serving}
        )
    )

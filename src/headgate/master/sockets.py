"""The places of WebSockets on the REST port: fewer than all connections of the port, so that some
are left for requests however many watch or stay."""

from dataclasses import dataclass, field
from typing import Final

from headgate.master.api.fairness import Places

MOST_CONNECTIONS: Final = 2_000
"""Connections of the REST port; the server refuses requests beyond, and WebSockets never."""
MOST_AGENTS: Final = 1_300
MOST_STRANGERS: Final = 200
"""Those on the path of agents that did not prove yet who they are; they count as agents as well."""
MOST_WATCHERS: Final = 500
MOST_OF_CALLER: Final = 200


def _agents() -> Places:
    return Places(MOST_AGENTS, MOST_AGENTS)


def _strangers() -> Places:
    return Places(MOST_STRANGERS, MOST_STRANGERS)


def _watchers() -> Places:
    return Places(MOST_WATCHERS, MOST_OF_CALLER)


@dataclass(slots=True)
class Sockets:
    """The places of each kind of WebSocket."""

    agents: Places = field(default_factory=_agents)
    strangers: Places = field(default_factory=_strangers)
    watchers: Places = field(default_factory=_watchers)

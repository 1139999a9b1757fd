"""A node of a fleet as a process, and what its master knows of it."""

from pathlib import Path
from typing import Any

from agent_master import OWN
from master_operator import Operator
from running_node import RunningNode


class Node(RunningNode):
    """`headgate agent` of a master."""

    reads_a_file = False

    def __init__(
        self, folder: Path, url: str, token: str, engine: str = "native", own: str = ""
    ) -> None:
        """`own`: more settings of this node."""
        self._url = url
        super().__init__(folder, OWN + own, "--engine", engine, HEADGATE_AGENT_TOKEN=token)

    def _start(self, command: list[str], *arguments: str, **env: str) -> Any:
        own = ["--config", str(self.config)]
        return super()._start(["agent", "--master-url", self._url, *own], *arguments, **env)


def serving(person: Operator) -> int | None:
    """The revision that the agent proved to serve."""
    found: int | None = person.agent().get("revisions", {}).get("serving")
    return found

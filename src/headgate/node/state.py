"""The parts of a control process, for the code that reports on them."""

import asyncio
import socket
import time
from pathlib import Path

from headgate.node.admin.servers import AdminServers
from headgate.node.events import EventLog
from headgate.node.key_sets.keeper import KeySets
from headgate.node.key_sets.store import FOLDER
from headgate.node.link import SupervisorLink
from headgate.node.linter import Linter
from headgate.node.options import Options
from headgate.node.pipeline import Pipeline
from headgate.node.ports import MasterSide, Serving, Source
from headgate.node.remote.link import RemoteLink
from headgate.node.serving.choice import same_engine


class Node:
    """Everything a control process has; made once, within the loop."""

    def __init__(
        self,
        options: Options,
        source: Source,
        link: SupervisorLink | RemoteLink,
        serving: Serving,
        door: socket.socket | None = None,
    ) -> None:
        """`door`: the admin API's Unix socket, if the supervisor lends it."""
        self.options = options
        self.source = source
        self.link = link
        self.started_at = time.time()
        self.events = EventLog()
        self.serving = serving
        self.servers = AdminServers(options, door)
        self.pipeline = Pipeline(source, serving, self.servers, same_engine(options))
        self.linter = Linter(idle=self.pipeline.idle)
        self.key_sets = KeySets(Path(options.state_dir) / FOLDER)
        self.master: MasterSide | None = None
        """The master's side of an agent."""
        self.is_draining = False
        self.was_serving = False
        self.end: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    @property
    def remote(self) -> RemoteLink | None:
        """The link to a data plane elsewhere; None where the supervisor is ours."""
        return self.link if isinstance(self.link, RemoteLink) else None

    def readiness(self) -> tuple[bool, str]:
        """Returns whether new traffic is welcome, and why not."""
        if self.is_draining:
            return False, "draining"
        if self.remote is not None and (why := self.remote.unready()):
            return False, why
        if why := self.serving.unready():
            return False, why
        if self.pipeline.served is None and not self.was_serving:
            return False, "no config was served yet"
        return True, "ready"

    def leave(self, code: int) -> None:
        """Ends the control process with this exit code; the first call counts."""
        if not self.end.done():
            self.end.set_result(code)

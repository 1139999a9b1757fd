"""An agent's session that a test tells what happens, with its disk."""

import fleet_parts as parts

from headgate.fleet import agent_events as ev
from headgate.fleet import frames as fr
from headgate.fleet import manifest as mf
from headgate.fleet.agent_session import AgentFacts, AgentSession, State

FACTS = AgentFacts("agent-1", 4, "0.1", keys=(parts.PUBLIC_KEY,))


class Agent:
    """An agent's session with its disk; `said` has the bodies that it sent, `applying` the Apply
    that waits for its Progress."""

    def __init__(self, held: fr.Held | None = None, serving: mf.Manifest | None = None) -> None:
        self.session = AgentSession(FACTS, lambda: 0.5, held, serving)
        self.disk = parts.MemoryDisk()
        self.now = 0.0
        self.fence = 0
        self.sequence = 0
        self.said: list[fr.AgentBody] = []
        self.commands: list[ev.Command] = []
        self.applied: list[ev.Apply] = []

    def tell(self, event: ev.Event) -> None:
        for command in self.session.handle(event, self.now):
            self.commands.append(command)
            answer: ev.Event | None = None
            match command:
                case ev.Send(frame):
                    self.said.append(frame.body)
                case ev.FindMissing():
                    answer = self.disk.missing(command)
                case ev.Store():
                    answer = self.disk.store(command)
                case ev.Apply():
                    self.applied.append(command)
            if answer:
                self.tell(answer)

    def hear(self, body: fr.MasterBody, *, fence: int | None = None) -> None:
        self.sequence += 1
        frame = fr.MasterFrame(self.fence if fence is None else fence, self.sequence, body)
        self.tell(ev.Received(frame))

    def go_live(self, fence: int = 1, protocol: int = 1) -> None:
        if self.session.state is State.WAITING:
            self.tell(ev.Start())
        self.tell(ev.Connected())
        self.fence, self.sequence = fence, 0
        self.hear(fr.Welcome(protocol, 10.0, 1 << 18))
        assert self.session.state is State.LIVE

    def progress(self, *phases: fr.Phase, fault: fr.Fault | None = None) -> None:
        job = self.applied[-1].job
        for phase in phases:
            self.tell(ev.Progress(job, phase, fault=fault if phase.is_final else None))

    def take(self) -> list[fr.AgentBody]:
        said, self.said = self.said, []
        return said

    def phases(self) -> list[tuple[fr.Phase, int]]:
        """The reports since the last call, as phase and revision."""
        return [(r.phase, r.version.revision) for r in self.take() if isinstance(r, fr.Report)]

    def serve(self, revision: int, nonce: int) -> None:
        """An offer all of whose blobs are here, up to serving."""
        self.disk.whole |= parts.blobs(revision)
        self.hear(parts.offer(nonce, revision))
        self.progress(fr.Phase.VALIDATED, fr.Phase.APPLIED, fr.Phase.SERVING)


def live() -> Agent:
    """An agent whose session stands."""
    agent = Agent()
    agent.go_live()
    agent.take()
    return agent

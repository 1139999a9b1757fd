"""An agent and its master over a line that loses, repeats and reorders, with a disk that fails: no
stale revision is ever applied, and what was wanted last is what the agent serves in the end."""

from dataclasses import dataclass, field
from random import Random

import fleet_parts as parts
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headgate.fleet import agent_events as ae
from headgate.fleet import chunk_codec, codec
from headgate.fleet import frames as fr
from headgate.fleet import master_events as me
from headgate.fleet.agent_session import AgentFacts, AgentSession
from headgate.fleet.agent_session import State as AgentState
from headgate.fleet.manifest import added, difference
from headgate.fleet.master_session import MasterSession, Terms

TERMS = Terms(chunk_bytes=40)
LISTED = {revision: parts.manifest(revision) for revision in range(1, 13)}
BASES = {parts.version(revision).hash: one for revision, one in LISTED.items()}
WANTED = {revision: parts.desired(revision) for revision in LISTED}
CONTENT = {sha: body for revision in LISTED for sha, body in parts.blobs(revision).items()}


@dataclass
class Line:
    """Both machines, the frames under way between them, and faults of a seeded random source."""

    random: Random
    faults: float
    now: float = 0.0
    wanted: int = 1
    fences: int = 0
    connection: int = 0
    applies: list[int] = field(default_factory=list)
    #: (when it arrives, connection, to the agent?, bytes)
    under_way: list[tuple[float, int, bool, bytes]] = field(default_factory=list)
    progress: list[tuple[float, ae.Progress]] = field(default_factory=list)
    master: MasterSession | None = None
    disk: parts.MemoryDisk = field(default_factory=parts.MemoryDisk)

    def __post_init__(self) -> None:
        facts = AgentFacts("a", 1, "0", keys=(parts.PUBLIC_KEY,))
        self.agent = AgentSession(facts, self.random.random)
        self.tell_agent(ae.Start())

    def send(self, to_agent: bool, data: bytes) -> None:
        copies = 1
        delay_s = 0.01
        if self.random.random() < self.faults:
            copies = self.random.choice((0, 0, 2))
        for _ in range(copies):
            if self.random.random() < self.faults:
                delay_s = self.random.random() * 20
            self.under_way.append((self.now + delay_s, self.connection, to_agent, data))

    def tell_agent(self, event: ae.Event) -> None:
        for command in self.agent.handle(event, self.now):
            match command:
                case ae.Send(frame):
                    self.send(False, codec.encode_agent(frame))
                case ae.Dial():
                    self.dial()
                case ae.FindMissing():
                    failed = ae.DiskFailed("no space", command.job)
                    self.tell_agent(failed if self.disk_fails() else self.disk.missing(command))
                case ae.Store():
                    if self.disk_fails():
                        self.tell_agent(ae.DiskFailed("no space", sha256=command.sha256))
                    elif stored := self.disk.store(command):
                        self.tell_agent(stored)
                case ae.Apply():
                    self.apply(command)

    def disk_fails(self) -> bool:
        return self.random.random() < self.faults / 10

    def changes(self, base: str) -> bytes | None:
        return difference(BASES[base], LISTED[self.wanted])

    def contents(self, base: str) -> bytes:
        """What the base lacks: all of it, a part or nothing."""
        lacking = [one.sha256 for one in added(BASES.get(base), LISTED[self.wanted])]
        brought = lacking[: self.random.randrange(len(lacking) + 1)]
        chunks = (fr.Chunk(one, 0, len(CONTENT[one]), CONTENT[one]) for one in brought)
        return chunk_codec.encode(fr.Chunks(tuple(chunks)))

    def dial(self) -> None:
        self.connection += 1
        self.under_way = [one for one in self.under_way if self.random.random() < self.faults]
        if self.random.random() < self.faults:
            self.tell_agent(ae.Disconnected("refused"))
            return
        self.master = MasterSession(TERMS, self.random.random, self.now)
        self.tell_agent(ae.Connected())

    def apply(self, command: ae.Apply) -> None:
        revision = command.manifest.revision
        self.applies.append(revision)
        assert all(entry.sha256 in self.disk.whole for entry in command.manifest.entries)
        last, fault = fr.Phase.SERVING, None
        if self.random.random() < self.faults / 2:
            last, fault = fr.Phase.REJECTED, fr.Fault("port-busy", "in use", True)
        phases = [fr.Phase.VALIDATED, fr.Phase.APPLIED, last]
        for step, phase in enumerate(phases):
            at = self.now + (step + 1) * self.random.random() * 3
            told = ae.Progress(command.job, phase, fault=fault if phase.is_final else None)
            self.progress.append((at if not phase.is_final else self.now + 9, told))

    def tell_master(self, event: me.Event) -> None:
        if self.master is None:
            return
        for command in self.master.handle(event, self.now):
            match command:
                case me.Send(frame):
                    self.send(True, codec.encode_master(frame))
                case me.Join():
                    self.fences += 1
                    self.tell_master(me.Joined(self.fences))
                case me.AskDesired():
                    wanted, listed = WANTED[self.wanted], LISTED[self.wanted]
                    self.tell_master(
                        me.DesiredIs(wanted, listed, self.changes, contents=self.contents)
                    )
                case me.FindBlobs(hashes):
                    self.tell_master(me.Found({one: CONTENT[one] for one in hashes}))
                case me.HangUp():
                    # The peer sees the end after the frames that were sent before it.
                    self.master = None

    def step(self) -> None:
        """Goes to the next thing that happens."""
        times = [self.agent.deadline(), self.master.deadline() if self.master else None]
        times += [at for at, *_ in self.under_way] + [at for at, _ in self.progress]
        self.now = max(self.now, min(at for at in times if at is not None))
        due = [one for one in self.under_way if one[0] <= self.now]
        self.under_way = [one for one in self.under_way if one[0] > self.now]
        for _, _, to_agent, data in due:
            if to_agent:
                self.tell_agent(ae.Received(codec.decode_master(data)))
            else:
                self.tell_master(me.Received(codec.decode_agent(data)))
        ready = sorted((one for one in self.progress if one[0] <= self.now), key=lambda one: one[0])
        self.progress = [one for one in self.progress if one[0] > self.now]
        for _, event in ready:
            self.tell_agent(event)
        if self.random.random() < self.faults / 10:
            self.master = None
            self.tell_agent(ae.Disconnected("reset"))
        self.tell_agent(ae.Tick())
        self.tell_master(me.Tick())


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1 << 32),
    faults=st.sampled_from([0.0, 0.05, 0.2, 0.5]),
    pauses=st.lists(st.integers(0, 40), min_size=1, max_size=11),
    has_blobs=st.booleans(),
)
def test_the_latest_is_what_ends_up_and_nothing_stale_is_applied(
    seed: int, faults: float, pauses: list[int], has_blobs: bool
) -> None:
    line = Line(Random(seed), faults)  # noqa: S311 - a test repeats
    if has_blobs:
        # Otherwise an offer that comes too late fails for want of its blobs, and proves nothing.
        line.disk.whole |= CONTENT
    for pause in pauses:
        for _ in range(pause):
            line.step()
        line.wanted += 1
        line.tell_master(me.Woken())
    line.faults = 0.0
    ends = line.now + 2000
    while line.agent.work.held.serving != parts.version(line.wanted):
        assert line.now < ends, (line.agent.state, line.agent.work.held)
        line.step()
    # Again only after a failure for now; never back to an older one.
    assert line.applies == sorted(line.applies)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_applied_twice_without_faults(seed: int) -> None:
    line = Line(Random(seed), 0.0)  # noqa: S311 - a test repeats
    for _ in range(4):
        while line.agent.work.held.serving != parts.version(line.wanted):
            line.step()
        line.wanted += 1
        line.tell_master(me.Woken())
    assert line.applies == [1, 2, 3, 4]
    assert line.agent.state is AgentState.LIVE

"""An agent of an older version, by what it can say and hear: protocol 1, in its own messages."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import loops
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc
from live_master import PATIENT, live_master, running
from waiting import until_async

from headgate.fleet import frames as fr
from headgate.master.dev.simulated import Enrolment, GrpcLine, SimulatedAgent

PROTOCOL_1 = Path(__file__).parents[2] / "corpus/fleet/protocol_1.proto"
"""The messages as they were before protocol 2."""
FILES = {"hosts/a.json": b"1", "routes/a.json": b"2" * 5000}


@pytest.fixture
def messages(tmp_path: Path) -> dict[str, Any]:
    """The classes of the older messages, by name."""
    made = tmp_path / "set"
    where = str(PROTOCOL_1.parent)
    assert protoc.main(["", f"-I{where}", f"--descriptor_set_out={made}", str(PROTOCOL_1)]) == 0
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(made.read_bytes()).file:
        pool.Add(file)
    names = ("AgentFrame", "MasterFrame")
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"headgate.v1.{name}"))
        for name in names
    }


class OlderLine(GrpcLine):
    """Passes on what the older messages have, and drops the rest, in both directions."""

    messages: dict[str, Any]
    agreed: list[int]

    async def send(self, frame: bytes) -> None:
        """See Line."""
        said = self.messages["AgentFrame"].FromString(frame)
        said.DiscardUnknownFields()
        if said.HasField("hello"):
            said.hello.newest_protocol = 1
        assert said.WhichOneof("body"), "an older agent has no such message"
        await super().send(said.SerializeToString())

    async def frames(self) -> AsyncIterator[bytes]:
        """See Line."""
        async for frame in super().frames():
            heard = self.messages["MasterFrame"].FromString(frame)
            heard.DiscardUnknownFields()
            assert heard.WhichOneof("body"), "an older agent does not know this message"
            if heard.HasField("welcome"):
                self.agreed.append(heard.welcome.protocol)
            yield heard.SerializeToString()


def test_an_agent_of_the_older_protocol_is_served_by_the_master_of_today(
    messages: dict[str, Any],
) -> None:
    agreed: list[int] = []

    def line(target: str, who: Enrolment) -> OlderLine:
        one = OlderLine(target, who)
        one.messages, one.agreed = messages, agreed
        return one

    async def scenario() -> None:
        async with live_master(terms=PATIENT) as master:
            older = SimulatedAgent(await master.enrol(), master.target, line=line)
            newer = SimulatedAgent(await master.enrol(), master.target)
            async with running(older, newer):
                await until_async(lambda: older.is_live and newer.is_live, "the sessions")
                for revision in (1, 2):
                    master.publish(FILES | {"hosts/b.json": b"%d" % revision})
                    await until_async(lambda: older.serving == newer.serving == revision, "both")  # noqa: B023
                who = master.book.agents[older.name]
                await until_async(lambda: fr.Phase.SERVING in who.at, "the report")
                await until_async(lambda: who.beat is not None, "a heartbeat")
                older.drop()
                await until_async(lambda: len(agreed) == 2 and older.is_live, "it is back")
                assert older.goodbyes == []

    loops.run(scenario())
    assert agreed == [1, 1]

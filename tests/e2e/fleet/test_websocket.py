"""The same frames over WebSocket on the REST port, where the agent signs a challenge."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import loops
import pytest
from live_master import running
from waiting import until_async
from websockets.asyncio.client import connect

from headgate.certificates.authority import create, key_pem, new_csr, new_key
from headgate.fleet import codec
from headgate.fleet import frames as fr
from headgate.fleet.master_session import Terms
from headgate.master.dev.fake_master import FakeMaster, Places
from headgate.master.dev.simulated import Enrolment, GrpcLine, SimulatedAgent
from headgate.master.fleet.book import AgentFacts
from headgate.providers.master.fallback import Fallback, LinkError
from headgate.providers.master.websocket import SESSION_PATH, Signer, WebSocketCarrier


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[FakeMaster]:
    (folder / "a.toml").write_text('[routes.api]\nupstream = "api"\n')
    master = FakeMaster(Places(folder), Terms(heartbeat_s=0.2))
    ready = asyncio.Event()
    task = asyncio.create_task(master.run(ready))
    try:
        await ready.wait()
        yield master
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def enrolled(master: FakeMaster) -> Enrolment:
    key = new_key()
    facts = AgentFacts("host", "0.1")
    one = await master.book.enrol(master.token, new_csr(key), facts, "127.0.0.1")
    return Enrolment(
        one.agent, key_pem(key), one.certificate_pem, one.authorities_pem, one.manifest_keys
    )


def context(who: Enrolment) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=who.authorities_pem.decode())


def carrier(target: str, who: Enrolment) -> WebSocketCarrier:
    return WebSocketCarrier(target, context(who), Signer(who.key_pem, who.certificate_pem))


def agent(master: FakeMaster, who: Enrolment) -> SimulatedAgent:
    return SimulatedAgent(who, f"127.0.0.1:{master.rest_port}", line=carrier)


def test_a_revision_is_served_over_websocket_and_a_lost_connection_is_made_again(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as master:
            one = agent(master, await enrolled(master))
            async with running(one):
                await until_async(lambda: one.serving == 1, "the revision")
                one.drop()
                await until_async(lambda: not one.is_live, "the end")
                (tmp_path / "a.toml").write_text('[routes.api]\nupstream = "other"\n')
                master.publish()
                await until_async(lambda: one.serving == 2, "the next revision")
                await until_async(
                    lambda: master.book.agents[one.name].beat is not None, "a heartbeat"
                )

    loops.run(scenario())


def test_who_cannot_prove_its_name_gets_no_session(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as master:
            good, other = await enrolled(master), await enrolled(master)
            foreign = create(
                "fleet", master.book.authorities.issuer.certificate.not_valid_before_utc
            )
            forged = foreign.client(
                new_csr(new_key()), good.agent, foreign.certificate.not_valid_before_utc
            )
            intruders = [
                # Its own key, another's certificate; another's name; a foreign authority's.
                agent(master, replace(good, key_pem=other.key_pem)),
                agent(master, replace(good, agent=other.agent)),
                agent(master, replace(good, certificate_pem=forged)),
            ]
            async with running(*intruders):
                await until_async(lambda: all(one.goodbyes for one in intruders), "the refusals")
                assert {one.goodbyes[0].partition(":")[0] for one in intruders} == {"unknown"}
            assert master.hub.connected() == frozenset()

    loops.run(scenario())


def test_a_recorded_hello_does_not_open_a_second_session(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as master:
            who = await enrolled(master)
            recorder = carrier(f"127.0.0.1:{master.rest_port}", who)
            await recorder.connect(30)
            hello = fr.AgentFrame(0, 1, fr.Hello(who.agent, 1, "0.1"))
            assert recorder._challenge is not None
            recorded = recorder._proving(codec.encode_agent(hello), recorder._challenge)
            await recorder.close()
            url = f"wss://127.0.0.1:{master.rest_port}{SESSION_PATH}"
            async with connect(url, ssl=context(who), proxy=None) as again:
                await again.recv()  # another challenge
                await again.send(recorded)
                answer = codec.decode_master(await again.recv(decode=False)).body
            assert isinstance(answer, fr.Goodbye)
            assert master.hub.connected() == frozenset()

    loops.run(scenario())


@pytest.mark.parametrize("first", ["text", b"\xff", b""])
def test_what_is_no_hello_is_told_so(tmp_path: Path, first: str | bytes) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as master:
            who = await enrolled(master)
            url = f"wss://127.0.0.1:{master.rest_port}{SESSION_PATH}"
            async with connect(url, ssl=context(who), proxy=None) as link:
                await link.recv()
                await link.send(first)
                answer = codec.decode_master(await link.recv(decode=False)).body
            assert isinstance(answer, fr.Goodbye)

    loops.run(scenario())


def test_a_revoked_agent_is_cut_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as master:
            one = agent(master, await enrolled(master))
            async with running(one):
                await until_async(lambda: one.is_live, "the session")
                master.book.revocations.revoke_agent(one.name)
                master.hub.cut(one.name)
                await until_async(lambda: "revoked" in "".join(one.goodbyes), "the end")
                assert master.hub.connected() == frozenset()

    loops.run(scenario())


def test_websocket_is_taken_where_grpc_cannot_pass(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as master:
            who = await enrolled(master)

            async def grpc(who: Enrolment) -> GrpcLine | WebSocketCarrier:
                # The REST port: it answers with TLS, and speaks no gRPC.
                line = GrpcLine(f"127.0.0.1:{master.rest_port}", who)
                try:
                    await line.connect(10)
                except OSError as error:
                    await line.close()
                    raise LinkError(str(error)) from None
                return line

            async def websocket(who: Enrolment) -> GrpcLine | WebSocketCarrier:
                line = carrier(f"127.0.0.1:{master.rest_port}", who)
                await line.connect(30)
                return line

            link = await Fallback([grpc, websocket])(who)
            assert isinstance(link, WebSocketCarrier)
            await link.close()

    loops.run(scenario())


def test_an_address_that_is_no_master_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(tmp_path) as master:
            who = await enrolled(master)
            with pytest.raises(LinkError):
                await carrier(f"127.0.0.1:{master.grpc_port}", who).connect(30)

    loops.run(scenario())

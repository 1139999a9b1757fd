"""Agents and a master over gRPC with real TLS on loopback."""

import datetime as dt
from collections.abc import Coroutine
from dataclasses import replace

import loops
import pytest
from cryptography import x509
from live_master import HOST, PATIENT, live_master, new_book, now, running
from waiting import until_async

from headgate.certificates.authority import create, new_csr, new_key
from headgate.certificates.identity import serial_of
from headgate.certificates.rotation import Authorities
from headgate.fleet import frames as fr
from headgate.master.dev.simulated import SimulatedAgent
from headgate.master.fleet.book import UnavailableError
from headgate.master.fleet.hub import Budgets
from headgate.master.fleet.memory_book import MemoryBook

FILES = {"routes/api.json": b'{"upstream":"api"}', "upstreams/big.json": b'"' + b"x" * 5000 + b'"'}


def run(scenario: Coroutine[object, object, None]) -> None:
    loops.run(scenario)


async def sent_away(agent: SimulatedAgent, code: str) -> None:
    """Waits until the master told the agent to leave, and why."""
    # On a busy machine it may have been silent for too long before.
    await until_async(lambda: any(why.startswith(code) for why in agent.goodbyes), code)


def test_a_revision_is_pulled_in_chunks_and_served() -> None:
    async def scenario() -> None:
        async with live_master() as master:
            agent = SimulatedAgent(await master.enrol(), master.target)
            async with running(agent):
                await until_async(lambda: agent.is_live, "the session")
                for expected in (1, 2):
                    assert master.publish(FILES | {"hosts/h.json": b"%d" % expected}) == expected
                    await until_async(lambda: agent.serving == master.book.wanted_revision)
                who = master.book.agents[agent.name]
                await until_async(lambda: fr.Phase.SERVING in who.at, "the report")
                assert list(who.at) == [
                    fr.Phase.OFFERED,
                    fr.Phase.RECEIVED,
                    fr.Phase.SERVING,
                ]
                await until_async(lambda: who.beat is not None, "a heartbeat")
                # On a busy machine the session may have ended meanwhile, and is made again.
                await until_async(lambda: master.hub.connected() == {agent.name}, "the session")
            await until_async(lambda: not master.hub.connected(), "the end of the session")

    run(scenario())


def test_an_agent_of_another_fleet_does_not_get_in() -> None:
    async def scenario() -> None:
        foreign = new_book()
        async with live_master(terms=PATIENT) as master, live_master(foreign) as other:
            ours, theirs = await master.enrol(), await other.enrol()
            # It trusts our master, and its own certificate is of another authority.
            intruder = SimulatedAgent(
                replace(theirs, authorities_pem=ours.authorities_pem), master.target
            )
            # And an agent of ours does not speak with the master of another fleet.
            lured = SimulatedAgent(ours, other.target)
            good = SimulatedAgent(ours, master.target)
            async with running(intruder, lured, good):
                await until_async(lambda: good.is_live, "the session")
                await until_async(
                    lambda: min(intruder.attempts, lured.attempts) >= 1, "a failed attempt"
                )
                assert not intruder.is_live
                assert not lured.is_live
                assert other.hub.connected() == frozenset()
                assert master.hub.connected() == {ours.agent}

    run(scenario())


def test_an_expired_certificate_does_not_get_in() -> None:
    async def scenario() -> None:
        async with live_master() as master:
            key = new_key()
            who = await master.enrol(key)
            past = now() - dt.timedelta(days=3)
            expired = master.book.authorities.issuer.client(new_csr(key), who.agent, past)
            agent = SimulatedAgent(replace(who, certificate_pem=expired), master.target)
            async with running(agent):
                await until_async(lambda: agent.attempts >= 1, "a failed attempt")
                assert master.hub.connected() == frozenset()

    run(scenario())


def test_a_certificate_of_another_agent_does_not_speak_for_this_one() -> None:
    async def scenario() -> None:
        async with live_master() as master:
            one, two = await master.enrol(), await master.enrol()
            agent = SimulatedAgent(replace(one, agent=two.agent), master.target)
            async with running(agent):
                await sent_away(agent, "unknown")
                assert master.hub.connected() == frozenset()

    run(scenario())


def test_a_revoked_agent_is_cut_at_once_and_stays_out() -> None:
    async def scenario() -> None:
        async with live_master() as master:
            whole, single = [SimulatedAgent(await master.enrol(), master.target) for _ in "ab"]
            async with running(whole, single):
                await until_async(lambda: len(master.hub.connected()) == 2, "both sessions")
                master.book.revocations.revoke_agent(whole.name)
                pem = single.who.certificate_pem
                serial = serial_of(x509.load_pem_x509_certificate(pem))
                master.book.revocations.revoke_certificate(serial)
                for agent in (whole, single):
                    master.hub.cut(agent.name)
                    await sent_away(agent, "revoked")
                assert master.hub.connected() == frozenset()
            again = [SimulatedAgent(agent.who, master.target) for agent in (whole, single)]
            async with running(*again):
                for agent in again:
                    await sent_away(agent, "revoked")

    run(scenario())


def test_the_newest_session_of_an_agent_wins() -> None:
    async def scenario() -> None:
        async with live_master() as master:
            who = await master.enrol()
            old, new = (SimulatedAgent(who, master.target) for _ in range(2))
            async with running(old):
                await until_async(lambda: old.is_live, "the first session")
                before = old.session.work.fence
                async with running(new):
                    await until_async(lambda: new.is_live, "the second session")
                    assert new.session.work.fence > before
                    await sent_away(old, "replaced")

    run(scenario())


def test_a_refusal_reaches_the_book_with_its_place_and_is_not_offered_again() -> None:
    async def scenario() -> None:
        async with live_master(terms=PATIENT) as master:
            agent = SimulatedAgent(await master.enrol(), master.target)
            agent.refusal = fr.Fault(
                "compile", "no such upstream", object="routes/api", file="routes/api.json", line=1
            )
            master.publish(FILES)
            async with running(agent):
                who = master.book.agents[agent.name]
                await until_async(lambda: fr.Phase.REJECTED in who.at, "the refusal")
                assert who.report
                assert who.report.fault == agent.refusal
                offers = who.reports
                master.hub.wake([agent.name])
                beat = who.beat
                await until_async(lambda: who.beat is not beat, "another heartbeat")
                assert who.reports == offers
                agent.refusal = None
                revision = master.publish(FILES | {"hosts/h.json": b"1"})
                await until_async(lambda: agent.serving == revision, "the next revision")

    run(scenario())


def test_a_fleet_heals_by_itself_after_its_master_restarts() -> None:
    async def scenario() -> None:
        async with live_master() as master:
            agents = [SimulatedAgent(await master.enrol(), master.target) for _ in range(20)]
            async with running(*agents):
                await until_async(lambda: all(agent.is_live for agent in agents), "all sessions")
                fences = [agent.session.work.fence for agent in agents]
                master.publish(FILES)
                await until_async(lambda: all(agent.serving == 1 for agent in agents))
                await master.stop()
                await until_async(lambda: not any(agent.is_live for agent in agents), "the end")
                await master.start()
                master.publish(FILES | {"hosts/h.json": b"1"})
                await until_async(lambda: all(agent.serving == 2 for agent in agents), "healing")
                after = [agent.session.work.fence for agent in agents]
                assert all(new > old for new, old in zip(after, fences, strict=True))

    run(scenario())


def test_a_dropped_connection_is_made_again() -> None:
    async def scenario() -> None:
        async with live_master() as master:
            agent = SimulatedAgent(await master.enrol(), master.target)
            async with running(agent):
                await until_async(lambda: agent.is_live, "the session")
                agent.drop()
                await until_async(lambda: not agent.is_live, "the end")
                master.publish(FILES)
                await until_async(lambda: agent.serving == 1, "the revision")

    run(scenario())


def test_who_connects_too_early_comes_later() -> None:
    async def scenario() -> None:
        budgets = Budgets(sessions_per_s=2.0, sessions_at_once=1.0, patience_s=0.3)
        async with live_master(budgets=budgets, terms=PATIENT) as master:
            agents = [SimulatedAgent(await master.enrol(), master.target) for _ in range(4)]
            async with running(*agents):
                await until_async(lambda: len(master.hub.connected()) == 4, "all sessions")
                said = [why for agent in agents for why in agent.goodbyes]
                assert said
                assert all(why.startswith("busy") for why in said)

    run(scenario())


def test_two_authorities_overlap_without_a_restart() -> None:
    async def scenario() -> None:
        async with live_master(terms=PATIENT) as master:
            book = master.book
            successor = create("fleet", now())
            book.authorities = book.authorities.announced(successor)
            # An agent that renewed while both are trusted.
            old = SimulatedAgent(await master.enrol(), master.target)
            book.authorities = book.authorities.switched()
            master.renew_server_certificate()
            new = SimulatedAgent(await master.enrol(), master.target)
            async with running(old, new):
                await until_async(lambda: len(master.hub.connected()) == 2, "both sessions")
            book.authorities = book.authorities.finished()
            late = SimulatedAgent(old.who, master.target)
            again = SimulatedAgent(new.who, master.target)
            async with running(late, again):
                await until_async(lambda: again.is_live and late.attempts >= 1, "the new one")
                assert master.hub.connected() == {new.name}

    run(scenario())


class FlakyBook(MemoryBook):
    """A book whose store is away for a while."""

    is_away = False

    async def desired(self, agent_id: str) -> "object":  # type: ignore[override]
        if self.is_away:
            raise UnavailableError("the database is away")
        return await super().desired(agent_id)


def test_agents_stay_connected_while_the_store_is_away() -> None:
    async def scenario() -> None:
        book = FlakyBook(Authorities((create("fleet", now()),)))
        async with live_master(book, terms=PATIENT) as master:
            agent = SimulatedAgent(await master.enrol(), master.target)
            async with running(agent):
                await until_async(lambda: agent.is_live, "the session")
                fence = agent.session.work.fence
                book.is_away = True
                master.publish(FILES)
                beats = book.agents[agent.name]
                beat = beats.beat
                await until_async(lambda: beats.beat is not beat, "a heartbeat")
                book.is_away = False
                await until_async(lambda: agent.serving == 1, "the revision")
                assert agent.session.work.fence == fence

    run(scenario())


@pytest.mark.parametrize("data", [b"", b"\xff\xff", b"\x08\x01"])
def test_bytes_that_are_no_frame_end_the_stream_only(data: bytes) -> None:
    async def scenario() -> None:
        async with live_master(terms=PATIENT) as master:
            good = SimulatedAgent(await master.enrol(), master.target)
            bad = SimulatedAgent(await master.enrol(), master.target)
            async with running(good, bad):
                await until_async(lambda: good.is_live and bad.is_live, "both sessions")
                bad.send_raw(data)
                await until_async(lambda: bad.attempts >= 1, "the end of its stream")
                assert good.is_live
                assert good.attempts == 0

    run(scenario())


def test_a_port_that_is_in_use_is_an_error() -> None:
    async def scenario() -> None:
        async with live_master() as master, live_master() as other:
            await other.stop()
            other.port = master.port
            with pytest.raises(OSError, match=HOST):
                await other.start()

    run(scenario())

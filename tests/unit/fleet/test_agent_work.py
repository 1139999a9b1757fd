"""What an agent that began anew knows of what an earlier process of it refused."""

from dataclasses import replace

import fleet_parts as parts
import pytest
from told_agent import live

from headgate.fleet import agent_events as ev
from headgate.fleet import frames as fr
from headgate.fleet.agent_session import AgentFacts, AgentSession
from headgate.fleet.agent_work import QUARANTINED, Work

FAULT = fr.Fault("compile", "no upstream", object="routes/r0")
ONE = parts.version(1)


def test_a_hello_says_what_an_earlier_process_refused() -> None:
    facts = AgentFacts("agent-1", 4, "0.1", keys=(parts.PUBLIC_KEY,))
    session = AgentSession(facts, lambda: 0.5, fr.Held(parts.SCOPE, refused=ONE))
    session.work.recall(FAULT, ONE)
    session.handle(ev.Start(), 0.0)
    (sent,) = session.handle(ev.Connected(), 0.0)
    assert isinstance(sent, ev.Send)
    hello = sent.frame.body
    assert isinstance(hello, fr.Hello)
    assert (hello.last_fault, hello.fault_of) == (FAULT, ONE)


def test_what_is_offered_again_is_refused_with_the_reason_of_an_earlier_process() -> None:
    work = Work("agent-1", (parts.PUBLIC_KEY,), fr.Held(parts.SCOPE, refused=ONE))
    work.recall(FAULT, ONE)
    work.recall(replace(FAULT, code=QUARANTINED), parts.version(2))
    (report,) = work.offered(parts.offer(1, 1), 0.0)
    assert isinstance(report, fr.Report)
    assert (report.phase, report.fault) == (fr.Phase.REJECTED, FAULT)


@pytest.mark.parametrize("is_refusal_first", [True, False])
def test_a_refusal_comes_before_a_quarantine(is_refusal_first: bool) -> None:
    two, quarantine = parts.version(2), replace(FAULT, code=QUARANTINED)
    held = fr.Held(parts.SCOPE, serving=ONE, refused=two)
    work = Work("agent-1", (parts.PUBLIC_KEY,), held)
    said = [(FAULT, two), (quarantine, ONE)]
    for fault, of in said if is_refusal_first else reversed(said):
        work.recall(fault, of)
    assert (work.last_fault, work.fault_of, work.quarantine) == (FAULT, two, quarantine)
    work.noticed(ev.Noticed(ONE, fr.Phase.SERVING))
    assert (work.last_fault, work.fault_of, work.quarantine) == (FAULT, two, None)


def test_an_unknown_reason_says_nothing() -> None:
    work = Work("agent-1", (parts.PUBLIC_KEY,), fr.Held(parts.SCOPE, refused=ONE))
    work.recall(None, ONE)
    work.recall(FAULT, None)
    assert (work.last_fault, work.fault_of) == (None, None)


def test_a_quarantine_that_ended_is_no_fault_any_more() -> None:
    work = Work("agent-1", (parts.PUBLIC_KEY,), fr.Held(parts.SCOPE, serving=ONE))
    quarantine = replace(FAULT, code=QUARANTINED)
    work.noticed(ev.Noticed(ONE, fr.Phase.SERVING, quarantine))
    assert (work.quarantine, work.fault_of) == (quarantine, ONE)
    work.noticed(ev.Noticed(ONE, fr.Phase.SERVING))
    assert (work.quarantine, work.fault_of) == (None, None)


FULL = "No space left on device"


def test_a_disk_that_cannot_be_looked_at_ends_an_offer_for_now() -> None:
    work = Work("agent-1", (parts.PUBLIC_KEY,), fr.Held(parts.SCOPE))
    _, looking = work.offered(parts.offer(1, 1), 0.0)
    assert isinstance(looking, ev.FindMissing)
    assert work.disk_failed(ev.DiskFailed(FULL, looking.job - 1), 0.0) == []
    assert work.disk_failed(ev.DiskFailed(FULL, sha256="a" * 64), 0.0) == []
    (report,) = work.disk_failed(ev.DiskFailed(FULL, looking.job), 0.0)
    assert isinstance(report, fr.Report)
    assert (report.phase, report.fault) == (fr.Phase.REJECTED, fr.Fault("disk", FULL, True))
    assert not report.held.is_busy
    _, again = work.offered(parts.offer(2, 1), 0.0)
    assert isinstance(again, ev.FindMissing)


def test_a_disk_that_does_not_take_a_blob_ends_an_offer_for_now() -> None:
    agent = live()
    agent.hear(parts.offer(1, 7))
    first = next(iter(parts.blobs(7)))
    agent.tell(ev.DiskFailed(FULL, sha256="a" * 64))
    assert agent.phases() == [(fr.Phase.RECEIVED, 7)]
    agent.tell(ev.DiskFailed(FULL, sha256=first))
    (report,) = agent.take()
    assert isinstance(report, fr.Report)
    assert (report.phase, report.fault) == (fr.Phase.REJECTED, fr.Fault("disk", FULL, True))
    agent.serve(7, nonce=2)
    assert agent.phases()[-1] == (fr.Phase.SERVING, 7)


def test_a_disk_that_failed_too_late_changes_nothing() -> None:
    agent = live()
    agent.tell(ev.DiskFailed(FULL, 1))
    agent.disk.whole |= parts.blobs(7)
    agent.hear(parts.offer(1, 7))
    agent.take()
    agent.tell(ev.DiskFailed(FULL, agent.applied[-1].job, next(iter(parts.blobs(7)))))
    assert agent.take() == []
    agent.progress(fr.Phase.SERVING)
    assert agent.phases() == [(fr.Phase.SERVING, 7)]

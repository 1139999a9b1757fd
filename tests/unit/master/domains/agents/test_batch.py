"""The words of agents that wait for the store."""

from headgate.fleet.frames import Fault, Held, Phase, Version
from headgate.fleet.master_events import AgentReport
from headgate.master.domains.agents.batch import Batch

MOST = 8


def report(revision: int, text: str = "") -> AgentReport:
    """A report of a refusal."""
    fault = Fault("invalid", text, object=text, file=text)
    version = Version(revision, "h")
    return AgentReport("s", version, Phase.REJECTED, Held(), (text,) * 9, fault, rollout=text)


def hear(batch: Batch, revision: int, agent: str = "a") -> None:
    """Takes a report in the session 1."""
    batch.hear(agent, 1, {"seen_at": revision}, report(revision))


def test_of_an_agent_that_floods_the_newest_reports_are_kept() -> None:
    batch = Batch()
    hear(batch, 1, "b")
    for revision in range(100):
        hear(batch, revision)
    hear(batch, 95)
    assert list(batch.said.reports["a"]) == [92, 93, 94, 96, 97, 98, 99, 95]
    assert list(batch.said.reports["b"]) == [1]


def test_no_more_are_kept_after_any_number_of_batches_that_were_lost() -> None:
    batch = Batch()
    for number in range(50):
        hear(batch, number)
        hear(batch, 1_000 + number)
        following = Batch()
        hear(following, 2_000 + number)
        hear(following, number)
        following.take_over(batch)
        kept = list(following.said.reports["a"])
        assert len(kept) <= MOST
        assert kept[-2:] == [2_000 + number, number]
        batch = following
    assert kept[:3] == [2_047, 47, 1_048]


def test_the_texts_of_a_report_that_waits_are_cut() -> None:
    batch = Batch()
    batch.hear("a", 1, {}, report(1, "x" * 1_000_000))
    (kept,) = batch.said.reports["a"].values()
    assert kept.kind == "agents.rejected"
    assert len(repr(kept)) < 10_000

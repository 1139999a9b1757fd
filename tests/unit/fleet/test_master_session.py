"""The master's side: what it offers when, and what it drops."""

from dataclasses import replace

import fleet_parts as parts
import pytest

from headgate.fleet import frames as fr
from headgate.fleet import master_events as ev
from headgate.fleet.manifest import Manifest, address, difference
from headgate.fleet.master_session import MasterSession, State, Terms

TERMS = Terms(chunk_bytes=64)


class Master:
    """A master's session with a book that has one revision."""

    def __init__(self) -> None:
        self.session = MasterSession(TERMS, lambda: 0.5, 0.0)
        self.now = 0.0
        self.wanted: ev.Desired | None = None
        self.listed: Manifest | None = None
        self.changes: dict[str, bytes] = {}
        self.contents: dict[str, bytes] = {}
        self.content: dict[str, bytes] = {}
        self.sequence = 0
        self.fence = 0
        self.said: list[fr.MasterBody] = []
        self.commands: list[ev.Command] = []

    def want(self, revision: int) -> None:
        self.wanted, self.listed = parts.desired(revision), parts.manifest(revision)
        self.content |= parts.blobs(revision)

    def tell(self, event: ev.Event) -> None:
        for command in self.session.handle(event, self.now):
            self.commands.append(command)
            match command:
                case ev.Send(frame):
                    self.said.append(frame.body)
                case ev.Join():
                    self.fence = 9
                    self.tell(ev.Joined(9))
                case ev.AskDesired():
                    self.tell(
                        ev.DesiredIs(
                            self.wanted,
                            self.listed,
                            self.changes.get,
                            contents=lambda base: self.contents.get(base, b""),
                        )
                    )
                case ev.FindBlobs(hashes):
                    found = {one: self.content[one] for one in hashes if one in self.content}
                    self.tell(ev.Found(found))

    def hear(self, body: fr.AgentBody, *, fence: int | None = None) -> None:
        self.sequence += 1
        at = self.fence if fence is None else fence
        self.tell(ev.Received(fr.AgentFrame(at, self.sequence, body)))

    def hello(self, held: fr.Held | None = None) -> None:
        self.hear(fr.Hello("agent-1", 1, "0.1", held=held or fr.Held()))

    def report(
        self, revision: int, phase: fr.Phase, *, fault: fr.Fault | None = None, **held: object
    ) -> None:
        has = replace(fr.Held(parts.SCOPE, parts.version(revision)), **held)  # type: ignore[arg-type]
        version = parts.version(revision)
        self.hear(fr.Report(1, parts.SCOPE, version, phase, has, fault=fault))

    def until_offer(self) -> float:
        """Seconds until the next offer by time alone."""
        began = self.now
        while not self.offers():
            due = self.session.deadline()
            assert due is not None
            self.now = min(due, self.now + 10)
            self.tell(ev.Tick())
            self.hear(fr.Heartbeat(self.session.offers.held))
            assert self.session.state is State.LIVE
        self.said.clear()
        return self.now - began

    def offers(self) -> list[fr.Offer]:
        return [one for one in self.said if isinstance(one, fr.Offer)]

    def take_offers(self) -> list[int]:
        revisions = [one.version.revision for one in self.offers()]
        self.said.clear()
        return revisions


def serving(revision: int) -> fr.Held:
    one = parts.version(revision)
    return fr.Held(parts.SCOPE, one, one, one)


def test_hello_is_answered_with_welcome_and_an_offer() -> None:
    master = Master()
    master.want(3)
    master.hello()
    welcome, offer = master.said
    assert isinstance(welcome, fr.Welcome)
    assert isinstance(offer, fr.Offer)
    assert (offer.version, offer.base, offer.nonce) == (parts.version(3), "", 1)
    (record,) = [one.report for one in master.commands if isinstance(one, ev.Record)]
    assert record.phase is fr.Phase.OFFERED


def test_an_agent_that_serves_what_it_must_gets_no_offer() -> None:
    master = Master()
    master.want(3)
    master.hello(serving(3))
    assert master.take_offers() == []


@pytest.mark.parametrize("has", [serving(2), serving(9), replace(serving(3), scope="other")])
def test_an_agent_that_is_behind_ahead_or_elsewhere_gets_the_complete_manifest(
    has: fr.Held,
) -> None:
    master = Master()
    master.want(3)
    master.hello(has)
    (offer,) = master.offers()
    assert (offer.base, offer.manifest) == ("", parts.desired(3).manifest)


def test_an_agent_whose_base_is_known_gets_the_difference_until_it_finds_it_wrong() -> None:
    master = Master()
    master.wanted, master.listed = parts.desired(3, count=20), parts.manifest(3, count=20)
    before = parts.desired(2, count=20).version
    changes = difference(parts.manifest(2, count=20), master.listed)
    master.changes = {before.hash: changes}
    master.hello(fr.Held(parts.SCOPE, before, before, before))
    (offer,) = master.offers()
    assert offer.base == before.hash
    assert len(offer.manifest) < len(master.wanted.manifest) / 4
    master.said.clear()
    fault = fr.Fault("base", "unknown", True)
    version = master.wanted.version
    held = fr.Held(parts.SCOPE, before, before, before)
    master.hear(fr.Report(1, parts.SCOPE, version, fr.Phase.REJECTED, held, fault=fault))
    (offer,) = master.offers()
    assert (offer.base, offer.manifest) == ("", master.wanted.manifest)


def test_an_offer_brings_along_what_the_agent_is_known_to_lack() -> None:
    master = Master()
    master.wanted, master.listed = parts.desired(3, count=20), parts.manifest(3, count=20)
    before = parts.desired(2, count=20).version
    master.changes = {before.hash: difference(parts.manifest(2, count=20), master.listed)}
    master.contents = {before.hash: b"changed", "": b"everything"}
    master.hello(fr.Held(parts.SCOPE, before, before, before))
    (offer,) = master.offers()
    assert (offer.base, offer.contents) == (before.hash, b"changed")
    costs = [one.cost for one in master.commands if isinstance(one, ev.Send)]
    assert costs[-1] == len(offer.manifest) + len(b"changed")


def test_an_agent_without_any_config_gets_everything_with_the_offer() -> None:
    master = Master()
    master.want(3)
    master.contents = {"": b"everything"}
    master.hello()
    (offer,) = master.offers()
    assert offer.contents == b"everything"


def test_an_agent_that_serves_something_unknown_fetches_what_it_lacks() -> None:
    master = Master()
    master.want(3)
    master.contents = {"": b"everything"}
    master.hello(serving(2))
    (offer,) = master.offers()
    assert (offer.base, offer.contents) == ("", b"")


def test_a_permanent_refusal_is_not_sent_again_until_another_version_is_wanted() -> None:
    master = Master()
    master.want(3)
    master.hello()
    master.take_offers()
    master.report(3, fr.Phase.REJECTED, fault=fr.Fault("signature", "no"))
    master.tell(ev.Woken())
    master.hear(fr.Heartbeat(fr.Held()))
    assert master.take_offers() == []
    master.want(4)
    master.tell(ev.Woken())
    assert master.take_offers() == [4]


def test_what_an_agent_refused_before_it_reconnected_is_not_offered() -> None:
    master = Master()
    master.want(3)
    master.hello(replace(serving(2), refused=parts.version(3)))
    assert master.take_offers() == []


def test_a_transient_refusal_is_offered_again_after_5_s_then_10_s() -> None:
    master = Master()
    master.want(3)
    master.hello()
    master.take_offers()
    for wait_s in (5, 10, 20):
        fault = fr.Fault("port-busy", "in use", True)
        master.report(3, fr.Phase.REJECTED, fault=fault, acknowledged=None)
        assert master.until_offer() == wait_s
    master.report(3, fr.Phase.REJECTED, fault=fr.Fault("port-busy", "in use", True))
    master.want(4)
    master.tell(ev.Woken())
    assert master.take_offers() == [4]


def test_an_offer_that_nobody_answers_is_sent_again() -> None:
    master = Master()
    master.want(3)
    master.hello()
    master.take_offers()
    assert [master.until_offer() for _ in range(3)] == [15, 30, 60]


def test_an_offer_at_work_is_left_alone_and_one_that_was_lost_is_sent_again() -> None:
    master = Master()
    master.want(3)
    master.hello()
    master.take_offers()
    master.report(3, fr.Phase.RECEIVED, is_busy=True)
    busy = fr.Held(parts.SCOPE, parts.version(3), is_busy=True)
    master.hear(fr.Heartbeat(busy))
    assert master.take_offers() == []
    assert master.session.offers.deadline() is None
    master.hear(fr.Heartbeat(replace(busy, is_busy=False)))
    assert master.until_offer() == 5


def test_changes_during_a_question_are_asked_about_once_after_it() -> None:
    session = MasterSession(TERMS, lambda: 0.5, 0.0)
    session.handle(ev.Received(fr.AgentFrame(0, 1, fr.Hello("a", 1, "0"))), 0)
    assert ev.AskDesired() in session.handle(ev.Joined(4), 0)
    for _ in range(3):
        assert session.handle(ev.Woken(), 0) == []
    assert session.handle(ev.DesiredIs(None, None), 0) == [ev.AskDesired()]
    assert session.handle(ev.DesiredIs(None, None), 0) == []


def test_blobs_come_in_chunks_of_what_the_manifest_names_only() -> None:
    master = Master()
    master.want(3)
    master.hello()
    master.said.clear()
    (sha, body), *_ = parts.blobs(3).items()
    foreign = address(b"secret of another fleet")
    master.content[foreign] = b"secret of another fleet"
    master.hear(fr.Fetch((fr.Want(sha, 4), fr.Want(foreign))))
    (chunks,) = master.said
    assert chunks == fr.Chunks((fr.Chunk(sha, 4, len(body), body[4:]),), (foreign,))


def test_a_chunks_holds_no_more_than_was_agreed() -> None:
    master = Master()
    master.wanted, master.listed = parts.desired(3, count=40), parts.manifest(3, count=40)
    master.content = parts.blobs(3, count=40)
    master.hello()
    master.said.clear()
    master.hear(fr.Fetch(tuple(fr.Want(sha) for sha in master.content)))
    (chunks,) = master.said
    assert isinstance(chunks, fr.Chunks)
    assert 0 < sum(len(one.data) for one in chunks.chunks) <= 64


def test_a_stale_fence_and_a_repeated_frame_change_nothing() -> None:
    master = Master()
    master.want(3)
    master.hello()
    before = len(master.commands)
    master.hear(fr.Report(1, parts.SCOPE, parts.version(3), fr.Phase.SERVING, serving(3)), fence=8)
    master.sequence = 0
    master.hear(fr.Report(1, parts.SCOPE, parts.version(3), fr.Phase.SERVING, serving(3)))
    assert len(master.commands) == before


def test_reports_carry_their_rollout() -> None:
    master = Master()
    master.want(3)
    assert master.wanted
    master.wanted = replace(master.wanted, rollout="r1", wave=2)
    master.hello()
    master.report(3, fr.Phase.RECEIVED)
    record = master.commands[-1]
    assert isinstance(record, ev.Record)
    assert (record.report.rollout, record.report.wave) == ("r1", 2)


@pytest.mark.parametrize(("oldest", "newest"), [(3, 4), (0, 0)])
def test_an_unknown_protocol_is_told_what_both_speak(oldest: int, newest: int) -> None:
    master = Master()
    master.hear(fr.Hello("a", 1, "9", oldest_protocol=oldest, newest_protocol=newest))
    goodbye = master.said[-1]
    assert isinstance(goodbye, fr.Goodbye)
    assert goodbye.code == "protocol"
    assert master.session.state is State.CLOSED


def test_an_agent_that_is_one_version_newer_speaks_ours() -> None:
    master = Master()
    master.hear(fr.Hello("a", 1, "9", oldest_protocol=1, newest_protocol=3))
    assert isinstance(master.said[0], fr.Welcome)
    assert master.said[0].protocol == 2


def test_what_an_agent_noticed_is_passed_on_within_its_budget() -> None:
    master = Master()
    master.hello()
    many = tuple(fr.Notice("warn", "endpoint.health", f"upstream {n}", "down") for n in range(150))
    master.hear(fr.Notices(many, dropped=2))
    told = [one for one in master.commands if isinstance(one, ev.Tell)]
    assert [(len(one.notices.notices), one.notices.dropped) for one in told] == [(100, 52)]
    master.hear(fr.Notices(many[:3]))
    assert len([one for one in master.commands if isinstance(one, ev.Tell)]) == 1
    master.now = 10.0
    master.hear(fr.Notices(many[:1]))
    last = [one for one in master.commands if isinstance(one, ev.Tell)][-1]
    assert (last.notices.notices, last.notices.dropped) == (many[:1], 3)


def test_silence_age_and_cut_end_a_session() -> None:
    def ended(master: Master) -> str:
        goodbye = master.said[-1]
        assert isinstance(goodbye, fr.Goodbye)
        assert isinstance(master.commands[-1], ev.HangUp)
        return goodbye.code

    silent, mute, old, revoked = Master(), Master(), Master(), Master()
    silent.hello()
    silent.now = 40.0
    silent.tell(ev.Tick())
    mute.now = 10.0
    mute.tell(ev.Tick())
    old.hello()
    for at in range(10, 1801, 10):
        old.now = at
        old.hear(fr.Heartbeat(fr.Held()))
        old.tell(ev.Tick())
    revoked.hello()
    revoked.tell(ev.Cut("revoked", "this agent was revoked"))
    assert [ended(one) for one in (silent, mute, old, revoked)] == [
        "silent",
        "silent",
        "age",
        "revoked",
    ]


def test_a_beat_is_sent_only_if_wanted() -> None:
    master = Master()
    master.hello()
    master.said.clear()
    master.hear(fr.Heartbeat(fr.Held()))
    assert master.said == []
    master.hear(fr.Heartbeat(fr.Held(), wants_answer=True))
    assert master.said == [fr.Beat()]

"""The agent's side: what it says and does when."""

from dataclasses import replace

import fleet_parts as parts
import pytest
from told_agent import Agent, live

from headgate.fleet import agent_events as ev
from headgate.fleet import frames as fr
from headgate.fleet import manifest as mf
from headgate.fleet.agent_session import State
from headgate.fleet.agent_work import Stage
from headgate.fleet.signing import sign_manifest


def test_an_agent_dials_and_says_hello_first() -> None:
    agent = Agent()
    agent.tell(ev.Start())
    assert agent.commands == [ev.Dial()]
    agent.tell(ev.Connected())
    (hello,) = agent.take()
    assert isinstance(hello, fr.Hello)
    assert (hello.agent, hello.epoch, hello.held) == ("agent-1", 4, fr.Held())


def test_an_offer_is_fetched_applied_and_reported() -> None:
    agent = live()
    agent.hear(parts.offer(1, 7))
    received, fetch = agent.take()
    assert isinstance(received, fr.Report)
    assert (received.phase, received.held.acknowledged) == (fr.Phase.RECEIVED, parts.version(7))
    assert isinstance(fetch, fr.Fetch)
    assert {want.sha256 for want in fetch.wants} == set(parts.blobs(7))
    chunks = [fr.Chunk(sha, 0, len(body), body) for sha, body in parts.blobs(7).items()]
    agent.hear(fr.Chunks(tuple(chunks)))
    assert [one.manifest.revision for one in agent.applied] == [7]
    agent.progress(fr.Phase.VALIDATED, fr.Phase.APPLIED, fr.Phase.SERVING)
    assert agent.phases() == [(fr.Phase.SERVING, 7)]
    held = agent.session.work.held
    assert held.serving == held.applied == parts.version(7)
    assert not held.is_busy


def test_a_phase_is_reported_if_it_lasts() -> None:
    agent = live()
    agent.disk.whole |= parts.blobs(7)
    agent.hear(parts.offer(1, 7))
    agent.take()
    agent.progress(fr.Phase.VALIDATED)
    agent.now += 0.2
    agent.progress(fr.Phase.APPLIED)
    assert agent.phases() == []
    due = agent.session.deadline()
    assert due is not None
    agent.now = due
    agent.tell(ev.Tick())
    assert agent.phases() == [(fr.Phase.APPLIED, 7)]
    agent.now += 1
    agent.tell(ev.Tick())
    agent.progress(fr.Phase.SERVING)
    assert agent.phases() == [(fr.Phase.SERVING, 7)]


def test_a_blob_comes_in_parts_and_goes_on_after_a_new_connection() -> None:
    agent = live()
    body = b'{"a":"' + b"x" * 100 + b'"}'
    listed = mf.manifest_of(parts.SCOPE, 7, {"routes/a.json": body})
    text = listed.canonical()
    sha = listed.entries[0].sha256
    agent.hear(
        parts.offer(
            1,
            7,
            version=fr.Version(7, mf.address(text)),
            manifest=text,
            signature=sign_manifest(parts.KEY, text),
        )
    )
    agent.hear(fr.Chunks((fr.Chunk(sha, 0, len(body), body[:60]),)))
    assert agent.take()[-1] == fr.Fetch((fr.Want(sha, 60),))
    agent.tell(ev.Disconnected("reset"))
    agent.now += 5
    agent.tell(ev.Tick())
    agent.go_live(fence=2)
    assert agent.take()[-1] == fr.Fetch((fr.Want(sha, 60),))
    agent.hear(fr.Chunks((fr.Chunk(sha, 60, len(body), body[60:]),)))
    assert len(agent.applied) == 1


def test_the_latest_offer_wins_while_one_is_applied() -> None:
    agent = live()
    for revision in (1, 2, 3):
        agent.disk.whole |= parts.blobs(revision)
        agent.hear(parts.offer(revision, revision))
    assert [one.manifest.revision for one in agent.applied] == [1]
    agent.progress(fr.Phase.APPLIED, fr.Phase.SERVING)
    assert [one.manifest.revision for one in agent.applied] == [1, 3]


def test_what_is_still_being_fetched_gives_way_at_once() -> None:
    agent = live()
    agent.hear(parts.offer(1, 1))
    assert agent.session.work.current
    assert agent.session.work.current.stage is Stage.FETCHING
    agent.disk.whole |= parts.blobs(2)
    agent.hear(parts.offer(2, 2))
    assert [one.manifest.revision for one in agent.applied] == [2]


def test_an_older_offer_that_comes_late_is_dropped() -> None:
    agent = live()
    agent.serve(2, nonce=2)
    agent.disk.whole |= parts.blobs(1)
    agent.hear(parts.offer(1, 1))
    assert len(agent.applied) == 1


def test_a_frame_of_another_fence_or_seen_before_is_dropped() -> None:
    agent = live()
    agent.hear(parts.offer(5, 5), fence=7)
    agent.sequence = 0
    agent.hear(parts.offer(6, 6))
    assert agent.take() == []


def test_a_master_whose_fence_is_not_newer_is_left() -> None:
    agent = live()
    agent.tell(ev.Disconnected("reset"))
    agent.now = 5
    agent.tell(ev.Tick())
    agent.tell(ev.Connected())
    agent.fence, agent.sequence = 1, 0
    agent.hear(fr.Welcome(1, 10.0, 1 << 18))
    assert agent.session.state is State.WAITING
    assert isinstance(agent.commands[-1], ev.HangUp)


@pytest.mark.parametrize("protocol", [fr.OLDEST_PROTOCOL - 1, fr.NEWEST_PROTOCOL + 1])
def test_a_master_that_speaks_a_protocol_which_the_agent_lacks_is_left(protocol: int) -> None:
    agent = Agent()
    agent.tell(ev.Start())
    agent.tell(ev.Connected())
    agent.fence = 1
    agent.hear(fr.Welcome(protocol, 10.0, 1 << 18))
    left = agent.commands[-1]
    assert isinstance(left, ev.HangUp)
    assert left.why == (
        f"the master speaks protocol {protocol}, this agent {fr.OLDEST_PROTOCOL} to "
        f"{fr.NEWEST_PROTOCOL}; upgrade the older one"
    )
    assert agent.session.state is State.WAITING
    due = agent.session.deadline()
    assert due is not None
    assert due >= 60.0, "it does not come back at once: nothing changes until an upgrade"


def test_a_permanent_refusal_is_answered_again_without_an_apply() -> None:
    agent = live()
    agent.disk.whole |= parts.blobs(1)
    agent.hear(parts.offer(1, 1))
    fault = fr.Fault("compile", "no upstream", object="routes/r0")
    agent.progress(fr.Phase.REJECTED, fault=fault)
    agent.take()
    agent.hear(parts.offer(2, 1))
    (report,) = agent.take()
    assert isinstance(report, fr.Report)
    assert (report.phase, report.fault) == (fr.Phase.REJECTED, fault)
    assert report.held.refused == parts.version(1)
    assert len(agent.applied) == 1


def test_a_hello_says_what_was_refused_and_why() -> None:
    agent = live()
    agent.disk.whole |= parts.blobs(1)
    agent.hear(parts.offer(1, 1))
    fault = fr.Fault("compile", "no upstream", object="routes/r0")
    agent.progress(fr.Phase.REJECTED, fault=fault)
    agent.tell(ev.Disconnected("the master died"))
    agent.take()
    agent.tell(ev.Tick())
    agent.now += 60
    agent.tell(ev.Tick())
    agent.tell(ev.Connected())
    (hello,) = agent.take()
    assert isinstance(hello, fr.Hello)
    assert (hello.last_fault, hello.fault_of) == (fault, parts.version(1))
    assert hello.held.refused == parts.version(1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signature": bytes(64)}, "signature"),
        ({"manifest": parts.manifest(8).canonical()}, "hash"),
        ({"scope": "other"}, "manifest"),
        ({"base": "f" * 64}, "base"),
        ({"manifest": b"{}"}, "manifest"),
    ],
)
def test_what_the_master_did_not_sign_is_not_applied(changes: dict[str, object], code: str) -> None:
    agent = live()
    agent.disk.whole |= parts.blobs(7) | parts.blobs(8)
    agent.hear(parts.offer(1, 7, **changes))
    (report,) = agent.take()
    assert isinstance(report, fr.Report)
    assert report.fault
    assert (report.phase, report.fault.code) == (fr.Phase.REJECTED, code)
    assert report.held.acknowledged is None
    assert agent.applied == []


def test_a_difference_to_what_is_served_is_applied() -> None:
    agent = live()
    agent.serve(1, nonce=1)
    agent.disk.whole |= parts.blobs(2)
    base, target = parts.manifest(1), parts.manifest(2)
    agent.hear(parts.offer(2, 2, base=base.hash(), manifest=mf.difference(base, target)))
    assert agent.applied[-1].manifest == target


def test_a_blob_with_another_hash_is_fetched_thrice_and_then_refused_for_now() -> None:
    agent = live()
    body = b"{}"
    listed = mf.manifest_of(parts.SCOPE, 1, {"routes/a.json": body})
    text = listed.canonical()
    sha = listed.entries[0].sha256
    changed = {"manifest": text, "signature": sign_manifest(parts.KEY, text)}
    agent.hear(parts.offer(1, 1, version=fr.Version(1, mf.address(text)), **changed))
    for _ in range(3):
        assert agent.take()[-1] == fr.Fetch((fr.Want(sha, 0),))
        agent.hear(fr.Chunks((fr.Chunk(sha, 0, 2, b"[]"),)))
    (report,) = agent.take()
    assert isinstance(report, fr.Report)
    assert report.fault
    assert report.fault.is_transient
    assert agent.applied == []


def test_an_offer_whose_time_is_over_is_not_begun() -> None:
    agent = live()
    agent.hear(parts.offer(1, 1, within_s=3.0))
    agent.now += 4
    chunks = [fr.Chunk(sha, 0, len(body), body) for sha, body in parts.blobs(1).items()]
    agent.take()
    agent.hear(fr.Chunks(tuple(chunks)))
    assert agent.phases() == [(fr.Phase.REJECTED, 1)]
    assert agent.applied == []


def test_what_happened_without_a_master_is_reported_after_welcome() -> None:
    agent = live()
    agent.disk.whole |= parts.blobs(1)
    agent.hear(parts.offer(1, 1))
    agent.tell(ev.Disconnected("reset"))
    agent.take()
    agent.progress(fr.Phase.APPLIED, fr.Phase.SERVING)
    assert agent.take() == []
    agent.now = 5
    agent.tell(ev.Tick())
    agent.go_live(fence=2)
    hello, serving = agent.take()
    assert isinstance(hello, fr.Hello)
    assert hello.held.serving == parts.version(1)
    assert isinstance(serving, fr.Report)
    assert serving.nonce == 0
    assert serving.phase is fr.Phase.SERVING


def test_reconnects_wait_longer_each_time_and_start_over_after_a_session_that_lasted() -> None:
    agent = Agent()
    agent.tell(ev.Start())
    waits = []
    for _ in range(4):
        agent.tell(ev.Disconnected("refused"))
        due = agent.session.deadline()
        assert due is not None
        waits.append(due - agent.now)
        agent.now = due
        agent.tell(ev.Tick())
    assert waits == [0.5, 1.0, 2.0, 4.0]
    agent.go_live()
    agent.now += 31
    agent.tell(ev.Disconnected("reset"))
    assert agent.session.deadline() == agent.now + 0.5


def test_a_goodbye_says_how_long_to_stay_away_at_least() -> None:
    agent = Agent()
    agent.tell(ev.Start())
    agent.tell(ev.Connected())
    agent.hear(fr.Goodbye("busy", "later", 20.0))
    assert isinstance(agent.commands[-1], ev.HangUp)
    assert agent.session.deadline() == 20.5


def test_an_agent_beats_asks_and_leaves_a_silent_master() -> None:
    agent = live()
    asked = []
    while agent.session.state is State.LIVE:
        due = agent.session.deadline()
        assert due is not None
        agent.now = due
        agent.tell(ev.Tick())
        asked += [beat.wants_answer for beat in agent.take() if isinstance(beat, fr.Heartbeat)]
    assert asked == [False, False, True, True]
    assert agent.now == 45


def test_an_answer_that_was_lost_is_asked_for_again() -> None:
    agent = live()
    agent.hear(parts.offer(1, 1))
    (*_, first) = agent.take()
    agent.now += 15
    agent.hear(fr.Beat())
    agent.tell(ev.Tick())
    assert first in agent.take()


def test_after_stop_nothing_follows() -> None:
    agent = live()
    agent.tell(ev.Stop())
    agent.hear(parts.offer(1, 1))
    agent.tell(ev.Tick())
    assert agent.take() == []
    assert agent.session.deadline() is None


def test_an_agent_that_starts_with_a_bundle_says_so_and_takes_differences() -> None:
    one = parts.version(1)
    agent = Agent(fr.Held(parts.SCOPE, one, one, one), parts.manifest(1))
    agent.go_live()
    (hello, *_) = agent.take()
    assert isinstance(hello, fr.Hello)
    assert hello.held.serving == one
    agent.hear(parts.offer(1, 1))
    assert agent.phases() == [(fr.Phase.SERVING, 1)]
    assert replace(agent.session.work.held, is_busy=False).acknowledged == one


def told(agent: Agent) -> list[tuple[fr.Instance, ...]]:
    """What the agent said of its engines since the last look, and what it left out."""
    return [one.instances for one in agent.take() if isinstance(one, fr.Hello | fr.Heartbeat)]


def test_what_an_engine_can_do_is_said_once_it_is_known_and_by_each_session() -> None:
    able = (fr.Instance("default", "nginx", "nginx/1.26", ("gzip", "mode=full")),)
    agent = Agent()
    agent.go_live()
    assert told(agent) == [()], "a session does not wait for it"
    agent.tell(ev.Described(able))
    assert told(agent) == [able], "nor for the next heartbeat"
    agent.tell(ev.Described(able))
    assert told(agent) == []
    due = agent.session.deadline()
    assert due is not None
    agent.now = due
    agent.tell(ev.Tick())
    assert told(agent) == [()], "once is enough"
    agent.tell(ev.Redial())
    agent.go_live(2)
    assert told(agent) == [able]


def test_what_is_found_between_the_greeting_and_the_welcome_is_said_by_a_heartbeat() -> None:
    able = (fr.Instance("default", "nginx", "nginx/1.26", ("gzip",)),)
    agent = Agent()
    agent.tell(ev.Start())
    agent.tell(ev.Connected())
    agent.tell(ev.Described(able))
    agent.fence, agent.sequence = 1, 0
    agent.hear(fr.Welcome(1, 10.0, 1 << 18))
    due = agent.session.deadline()
    assert due is not None
    agent.now = due
    agent.tell(ev.Tick())
    assert told(agent) == [(), able]


def down(name: str, text: str = "is down") -> ev.Happened:
    return ev.Happened(fr.Notice("warn", "endpoint.health", f"upstream {name}", text))


def notices(agent: Agent) -> list[tuple[str, str, int]]:
    """What was told since the last call."""
    said = [one for body in agent.take() if isinstance(body, fr.Notices) for one in body.notices]
    return [(one.object, one.text, one.count) for one in said]


def test_what_happened_is_told_at_most_once_a_second_and_like_ones_as_one() -> None:
    agent = Agent()
    agent.tell(down("app"))
    agent.go_live(protocol=2)
    assert notices(agent) == [("upstream app", "is down", 1)]
    agent.tell(down("app"))
    agent.tell(down("app", "is up"))
    agent.tell(down("two"))
    agent.tell(down("app"))
    assert notices(agent) == []
    agent.now = agent.session.deadline() or 0.0
    agent.tell(ev.Tick())
    assert notices(agent) == [
        ("upstream app", "is up", 1),
        ("upstream two", "is down", 1),
        ("upstream app", "is down", 2),
    ], "what one endpoint does hides nothing of another"
    agent.now += 5
    agent.tell(ev.Tick())
    assert notices(agent) == []


def test_a_master_of_the_protocol_before_is_told_nothing_that_it_does_not_know() -> None:
    agent = Agent()
    agent.go_live(protocol=1)
    agent.tell(down("app"))
    agent.now = 2.0
    agent.tell(ev.Tick())
    assert notices(agent) == []
    assert (agent.session.deadline() or 0.0) > 2.0


def test_what_could_not_be_told_is_bounded_and_counted() -> None:
    agent = Agent()
    for number in range(100):
        agent.tell(down(str(number)))
    agent.go_live(protocol=2)
    (told,) = (one for one in agent.take() if isinstance(one, fr.Notices))
    assert (len(told.notices), told.dropped) == (64, 36)
    assert told.notices[-1].object == "upstream 99"


def test_a_heartbeat_says_how_old_its_figures_are() -> None:
    agent = Agent()
    agent.go_live()
    latency = fr.Latency((0.1,), (3, 0))
    agent.now = 20.0
    agent.tell(ev.Tick())
    agent.tell(ev.Summary({"requests": 3.0}, latency))
    agent.now = 32.5
    agent.tell(ev.Tick())
    beats = [body for body in agent.take() if isinstance(body, fr.Heartbeat)]
    assert [(beat.latency, beat.figures_age_ms) for beat in beats] == [(None, 0), (latency, 12_500)]

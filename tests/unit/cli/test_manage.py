"""Commands that talk to a running node: how they wait for its control process, what they say."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from headgate.cli import calls, manage
from headgate.cli.link_lines import link_lines
from headgate.engines.status import EngineStatus
from headgate.engines.types import EndpointStatus, UpstreamStatus
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.about import ConfigStatus, NodeStatus, ProcessStatus, QuarantinedObject
from headgate.node.agent.about import MasterStatus
from headgate.node.key_sets.about import KeySetStatus
from headgate.node.link import About
from headgate.node.remote.peer import Certificate, LinkStatus
from headgate.node.results import Outcome, ReloadResult
from headgate.node.rights import ProcessRights

HERE = Path("/none")
THERE: dict[str, object] = {"control_is_connected": True}


class Node:
    """A node that answers in turn as the test has said; its time goes on by 1 s a look."""

    def __init__(self) -> None:
        self.answers: Iterator[calls.Answer | calls.NoNodeError] = iter(())
        self.supervisor: Iterator[dict[str, object]] = iter(())
        self.asked: list[tuple[str, ...]] = []
        self.now = 100.0

    def call(self, _dir: Path, method: str, path: str, body: bytes | None = None) -> calls.Answer:
        self.asked.append((method, path, *([body.decode()] if body is not None else [])))
        if isinstance(answer := next(self.answers), calls.NoNodeError):
            raise answer
        return answer

    def ask(self, _dir: Path, op: str) -> dict[str, object]:
        self.asked.append((op,))
        assert len(self.asked) < 1_000, "it does not sleep between its looks"
        return next(self.supervisor)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, _seconds: float) -> None:
        self.now += 1.0


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    one = Node()
    monkeypatch.setattr(calls, "call", one.call)
    monkeypatch.setattr(calls, "supervisor", one.ask)
    monkeypatch.setattr(manage, "time", one)
    return one


def away() -> Iterator[calls.NoNodeError]:
    while True:
        yield calls.NoNodeError("away")


def always(**answer: object) -> Iterator[dict[str, object]]:
    while True:
        yield answer


def in_turn(*answers: dict[str, object]) -> Iterator[dict[str, object]]:
    return iter(answers)


def test_a_reload_waits_for_the_next_control_process(node: Node) -> None:
    done = ReloadResult(outcome=Outcome.APPLIED)
    body = msgspec.json.encode(done)
    node.answers = iter((calls.NoNodeError("away"), calls.Answer(200, body)))
    node.supervisor = always()
    assert manage.reload(HERE) == done
    assert node.asked == [("POST", "/reload"), ("status",), ("POST", "/reload")]


def test_a_control_process_that_stays_away_is_waited_for_20_s(node: Node) -> None:
    node.answers, node.supervisor = away(), always()
    with pytest.raises(calls.NoNodeError):
        manage.reload(HERE)
    assert node.now == 120.0


def test_an_answer_that_is_no_result_is_a_failure(node: Node) -> None:
    node.answers = iter((calls.Answer(503, b" later\n"),))
    result = manage.reload(HERE)
    assert (result.outcome, result.error) == (Outcome.FAILED, "HTTP 503: later")


def test_a_reload_says_how_long_it_took_or_what_still_serves() -> None:
    done = ReloadResult(
        outcome=Outcome.APPLIED, digest="ab" * 32, objects=3, load_ms=1.4, apply_ms=2.6
    )
    took = "applied abababababab: 3 objects, read in 1 ms, served after 3 ms"
    assert manage.reload_text(done) == f"{took}\n"
    late = msgspec.structs.replace(done, waited_ms=7.0)
    assert manage.reload_text(late) == f"{took}, of which it waited 7 ms for its turn\n"
    failed = msgspec.structs.replace(done, outcome=Outcome.FAILED)
    assert manage.reload_text(failed) == "failed; still serving abababababab\n"
    assert manage.reload_text(ReloadResult(outcome=Outcome.REFUSED)) == (
        "refused; still serving nothing\n"
    )


def test_a_drain_waits_only_if_asked_and_only_once_it_began(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[Path] = []
    monkeypatch.setattr(calls, "wait_until_gone", waited.append)
    node.supervisor = always(ok=True)
    assert manage.drain(HERE, wait=False) is None
    assert waited == []
    assert manage.drain(HERE, wait=True) is None
    assert waited == [HERE]
    node.supervisor = in_turn({"ok": False, "error": "busy"}, {})
    assert manage.drain(HERE, wait=True) == "busy"
    assert manage.drain(HERE, wait=True) == "refused"
    assert waited == [HERE]


def test_an_order_for_an_endpoint_is_in_force_or_says_why_not(node: Node) -> None:
    node.answers = iter(
        (
            calls.Answer(200, b"{}"),
            calls.Answer(404, b'{"error": "no such endpoint"}'),
            calls.Answer(500, b"oh\n"),
        )
    )
    order = ("app", "127.0.0.1:1", "drain")
    assert manage.order(HERE, *order) is None
    assert manage.order(HERE, *order) == "no such endpoint"
    assert manage.order(HERE, *order) == "HTTP 500: oh"
    body = '{"upstream":"app","endpoint":"127.0.0.1:1","state":"drain"}'
    assert node.asked[0] == ("POST", "/endpoint", body)


def test_an_upgrade_ends_when_the_next_control_process_is_there(node: Node) -> None:
    node.supervisor = in_turn({"ok": True}, {}, {"control_is_connected": False}, THERE)
    assert manage.upgrade(HERE) is None
    assert node.asked == [("upgrade",), ("status",), ("status",), ("status",)]


def test_an_upgrade_is_refused_or_given_up_after_60_s(node: Node) -> None:
    node.supervisor = in_turn({"error": "draining"}, {})
    assert manage.upgrade(HERE) == "draining"
    assert manage.upgrade(HERE) == "refused"
    node.supervisor = always(ok=True)
    assert "does not start; see the node's log" in str(manage.upgrade(HERE))
    assert node.now == 160.0


def test_a_status_without_a_control_process_says_what_is_served(node: Node) -> None:
    node.answers, node.supervisor = away(), always(listening=["127.0.0.1:80"])
    with pytest.raises(calls.NoNodeError, match="is away; the supervisor says it serves"):
        manage.status(HERE)
    node.answers = iter((calls.Answer(200, b"nonsense"),))
    with pytest.raises(calls.NoNodeError, match="answers nonsense"):
        manage.status(HERE)


SUPERVISOR = About(None, ["127.0.0.1:80"], 2, {"control": 3, "dataplane": 1}, "running", True)
SERVING = EngineStatus(kind="native", state="serving")
BARE = NodeStatus(
    ready=True,
    reason="",
    control=ProcessStatus("1", 11, 1.0),
    config=ConfigStatus(["a.toml", "b.toml"], "ab" * 32, 3, 1.0, None),
    supervisor=SUPERVISOR,
    engine=SERVING,
)
HEAD = ["ready", "config      abababababab  3 objects from a.toml, b.toml"]
ENGINE = ["engine      native, serving", "last apply  none since the control process began"]


def said(**changed: object) -> list[str]:
    """The lines of a status."""
    text = manage.status_text(msgspec.structs.replace(BARE, **changed))
    assert text.endswith("\n")
    return text.splitlines()


def test_a_node_of_which_nothing_is_to_be_told_has_five_lines() -> None:
    processes = "processes   control 11, restarted 3 times; data plane restarted 1 times"
    assert said() == [*HEAD, processes, "listening   127.0.0.1:80", *ENGINE]
    silent = msgspec.structs.replace(SUPERVISOR, listening=[])
    assert said(supervisor=silent)[3] == "listening   nothing"
    assert said(supervisor=None) == [*HEAD, *ENGINE]
    gate = said(gate=ProcessStatus("1", 12, 1.0), control=None)
    assert gate[1] == "config      abababababab  from the control plane"


def test_the_processes_of_a_node_with_nginx_are_its_own_alone() -> None:
    nginx = EngineStatus(kind="nginx", state="down")
    rest = ["engine      nginx, down", ENGINE[1]]
    assert said(engine=nginx) == [*HEAD, "processes   control 11, restarted 3 times", *rest]
    never = msgspec.structs.replace(SUPERVISOR, restarts={})
    assert said(engine=nginx, supervisor=never)[2] == "processes   control 11, restarted 0 times"
    assert said(engine=nginx, supervisor=None) == [*HEAD, *rest]
    assert said(engine=nginx, control=None) == [*HEAD, *rest]


KEY_SETS = [
    KeySetStatus("https://a", "fresh", 1_800_000_000.0),
    KeySetStatus("https://b", "missing", None, "it answers 404"),
]
RIGHTS = [
    ProcessRights("control", 11, "proxy", ["net_bind_service"], True, True),
    ProcessRights("supervisor", 10, "root", [], False, False),
]


def test_everything_that_is_known_of_a_node_is_told_in_order() -> None:
    wrong = Diagnostic(file="a.toml", line=1, column=1, message="no")
    reload = ReloadResult(
        outcome=Outcome.REFUSED, reason="request", diagnostics=(wrong,), error="it hung"
    )
    link = LinkStatus("control", "edge:9443", False, 0.0, 0.0, Certificate("", [], 0.0))
    config = ConfigStatus(
        ["a.toml"],
        "ab" * 32,
        3,
        1.0,
        reload,
        (wrong,),
        [QuarantinedObject("route", "a", "closed", "it is bad")],
    )
    found = said(
        ready=False,
        reason="draining",
        config=config,
        link=link,
        key_sets=KEY_SETS,
        master=MasterStatus(url="https://master.test"),
        warnings=["it is root"],
        processes=RIGHTS,
    )
    assert found == [
        "not ready: draining",
        "config      abababababab  3 objects from a.toml",
        "last reload refused (request)",
        "            a.toml:1:1: no",
        "            it hung",
        *link_lines(link),
        "quarantined route a: requests for it get 503: it is bad",
        "key set     https://a  fresh, fetched 2027-01-15T08:00:00Z",
        "key set     https://b  missing, its routes answer 503: it answers 404",
        "master      https://master.test: not connected (enrolling)",
        "revision    none serves",
        "warning     a.toml:1:1: no",
        "warning     it is root",
        "processes   control 11",
        "remote      on edge:9443: data plane restarted 1 times; gate restarted 3 times",
        "listening   127.0.0.1:80",
        "rights      control 11: proxy, net_bind_service, no new privileges, seccomp",
        "rights      supervisor 10: root, no capabilities",
        *ENGINE,
    ]
    assert said(supervisor=None, processes=RIGHTS[1:])[2] == found[18]


def test_an_endpoint_says_why_where_it_takes_less_than_its_share() -> None:
    up = EndpointStatus("10.0.0.1:80", ["10.0.0.1:80"], "up", 0, 0, 9, 2, "", why="…")
    name = EndpointStatus(
        "a.test:80", ["10.0.0.2:80", "10.0.0.3:80"], "down", 0, 0, 1, 1, "refused"
    )
    changed = [
        msgspec.structs.replace(up, takes=False),
        msgspec.structs.replace(up, agent_percent=50, resolved=[]),
        msgspec.structs.replace(up, state="drain", negotiated="h2"),
        msgspec.structs.replace(up, state="drain", why=""),
        msgspec.structs.replace(up, why="takes only requests with its cookie"),
    ]
    upstreams = [
        UpstreamStatus("app", [up, name, *changed]),
        UpstreamStatus("api", [], panic=True, protocol="h2c"),
    ]
    engine = msgspec.structs.replace(SERVING, upstreams=upstreams)
    assert said(engine=engine)[-13:] == [
        "upstream    app",
        "            10.0.0.1:80  up  9 requests, 2 failures",
        "            a.test:80 (10.0.0.2:80, 10.0.0.3:80)  down  1 requests, 1 failures  refused",
        "            10.0.0.1:80  up  9 requests, 2 failures",
        "              …",
        "            10.0.0.1:80  up  9 requests, 2 failures",
        "              …",
        "            10.0.0.1:80  drain  9 requests, 2 failures, agreed on h2",
        "              …",
        "            10.0.0.1:80  drain  9 requests, 2 failures",
        "            10.0.0.1:80  up  9 requests, 2 failures",
        "              takes only requests with its cookie",
        "upstream    api (h2c)  panic: too few endpoints are usable",
    ]


def test_a_status_is_what_the_node_answers(node: Node) -> None:
    node.answers = iter((calls.Answer(200, msgspec.json.encode(BARE)),))
    assert manage.status(HERE) == BARE
    assert node.asked == [("GET", "/status")]

"""Commands for all instances of an agent: the question to each instance, and the answer of all."""

from pathlib import Path

import msgspec
import pytest

from headgate.cli import calls, manage, several
from headgate.cli.output import BAD_CONFIG, FAILED, OK
from headgate.cli.several import AgentReload, AgentStatus, InstanceStatus
from headgate.engines.status import EngineStatus, NginxStatus
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.about import ConfigStatus, NodeStatus
from headgate.node.agent.about import MasterStatus, RevisionStatus
from headgate.node.results import Outcome, ReloadResult
from headgate.supervisor.statedir import INSTANCES_DOOR

AGENT = Path("/agent")
APPLIED = ReloadResult(outcome=Outcome.APPLIED, digest="d" * 64, objects=3)
REFUSED = ReloadResult(
    outcome=Outcome.REFUSED, diagnostics=(Diagnostic(file="a.toml", message="it is bad"),)
)
FAILED_ONE = ReloadResult(outcome=Outcome.FAILED, error="there is no data plane")


def node(*, ready: bool = True, engine: EngineStatus | None = None, **more: object) -> NodeStatus:
    found = NodeStatus(
        ready,
        "" if ready else "no config is served",
        None,
        ConfigStatus([], "", 0, 0.0, None),
        None,
        engine or EngineStatus(kind="native", state="serving"),
    )
    return msgspec.structs.replace(found, **more)


class Agent:
    """An agent whose process and instances answer as a test has said."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, object]] = {}
        self.instances: dict[str, object] = {}
        self.asked: list[tuple[Path, str, str]] = []
        self.waited: list[tuple[Path, str]] = []

    def runs(self, **states: str) -> None:
        told = {name: {"state": state} for name, state in states.items()}
        self.answers["instances"] = {"ok": True, "instances": told}

    def supervisor(self, place: Path, op: str, door: str) -> dict[str, object]:
        self.asked.append((place, op, door))
        return self.answers[op]

    def instance(self, place: Path) -> object:
        assert place.parent == AGENT / "instances"
        if isinstance(found := self.instances[place.name], Exception):
            raise found
        return found


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Agent:
    one = Agent()
    monkeypatch.setattr(calls, "supervisor", one.supervisor)
    monkeypatch.setattr(calls, "wait_until_gone", lambda *what: one.waited.append(what))
    for command in ("status", "reload", "upgrade"):
        monkeypatch.setattr(manage, command, one.instance)
    return one


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (AgentReload(), OK),
        (AgentReload(error="no"), BAD_CONFIG),
        (AgentReload(results={"a": APPLIED}), OK),
        (AgentReload(results={"a": APPLIED, "b": FAILED_ONE}), FAILED),
        (AgentReload(results={"a": FAILED_ONE, "b": REFUSED, "c": APPLIED}), BAD_CONFIG),
    ],
)
def test_the_worst_instance_gives_the_exit_code(result: AgentReload, code: int) -> None:
    assert result.code == code


def test_an_agent_is_named_only_while_it_runs_and_no_instance_is(tmp_path: Path) -> None:
    here = str(tmp_path)
    assert several.place(here, None, None) is None, "it drives one node"
    (tmp_path / "instances" / "inner").mkdir(parents=True)
    assert several.place(here, None, "inner") is None
    with pytest.raises(calls.NoNodeError, match=f"no agent runs at {tmp_path}"):
        several.place(here, None, None)
    (tmp_path / INSTANCES_DOOR).touch()
    assert several.place(here, None, None) == tmp_path


def test_each_instance_that_runs_is_asked_for_its_own_status(agent: Agent) -> None:
    agent.runs(a="running", b="leaving", c="waiting", d="running")
    ready, other = node(), node(ready=False)
    agent.instances = {"a": ready, "b": other, "d": calls.NoNodeError("no node runs")}
    found = several.status(AGENT)
    assert agent.asked == [(AGENT, "instances", INSTANCES_DOOR)]
    assert found == AgentStatus(
        ready=False,
        instances={
            "a": InstanceStatus("running", node=ready),
            "b": InstanceStatus("leaving", node=other),
            "c": InstanceStatus("waiting"),
            "d": InstanceStatus("running", why="no node runs"),
        },
    )


@pytest.mark.parametrize(
    ("state", "is_node_ready", "is_ready"),
    [("running", True, True), ("running", False, False), ("waiting", True, False)],
)
def test_an_agent_is_ready_if_each_instance_is(
    agent: Agent, state: str, is_node_ready: bool, is_ready: bool
) -> None:
    agent.runs(a="running", b=state)
    agent.instances = {"a": node(), "b": node(ready=is_node_ready)}
    assert several.status(AGENT).ready is is_ready


def test_the_text_has_a_line_for_each_instance(agent: Agent) -> None:
    found = {"a": InstanceStatus("ended"), "long": InstanceStatus("refused", 0, 2, "no token")}
    assert several.status_text(AgentStatus(ready=False, instances=found)) == (
        "a     ended\nlong  refused: no token, restarted 2 times\n"
    )
    assert several.status_text(AgentStatus(ready=True, instances={})) == ""


def line(one: InstanceStatus) -> str:
    return several.status_text(AgentStatus(ready=True, instances={"a": one})).strip()


def test_the_line_of_a_node_says_its_state_its_master_and_its_engine() -> None:
    assert line(InstanceStatus("running", node=node())) == "a  ready, native, serving"
    leaving = InstanceStatus("leaving", 1, 3, node=node(ready=False))
    assert line(leaving) == (
        "a  not ready: no config is served, leaving, native, serving, restarted 3 times"
    )
    away = MasterStatus(url="m", state="waiting", last_error="it is refused")
    assert line(InstanceStatus("running", node=node(master=away))) == (
        "a  ready, no revision, not connected (waiting), it is refused, native, serving"
    )
    quiet = msgspec.structs.replace(away, last_error="")
    assert "(waiting), native" in line(InstanceStatus("running", node=node(master=quiet)))
    there = msgspec.structs.replace(away, state="live", serving=RevisionStatus(7, "d"))
    assert line(InstanceStatus("running", node=node(master=there))) == (
        "a  ready, revision 7, connected, native, serving"
    )


@pytest.mark.parametrize(
    ("mode", "end"), [("full", "mode full"), ("observe", "mode observe, /etc/nginx.conf")]
)
def test_the_line_of_an_nginx_that_is_only_watched_names_its_config(mode: str, end: str) -> None:
    nginx = NginxStatus("/root", mode, conf="/etc/nginx.conf")
    engine = EngineStatus(kind="nginx", state="serving", version="nginx/1.22.1", nginx=nginx)
    assert line(InstanceStatus("running", node=node(engine=engine))) == (
        f"a  ready, nginx/1.22.1, serving, {end}"
    )


def test_a_reload_asks_the_instances_that_go_on(agent: Agent) -> None:
    agent.answers["reload"] = {"ok": True, "started": ["new"], "stopped": ["old"]}
    agent.runs(new="running", old="running", gone="waiting", a="running", b="running")
    agent.instances = {"a": APPLIED, "b": calls.NoNodeError("it is away")}
    found = several.reload(AGENT)
    away = ReloadResult(outcome=Outcome.FAILED, error="it is away")
    assert found == AgentReload("", ["new"], ["old"], {"a": APPLIED, "b": away})
    assert [op for _, op, _ in agent.asked] == ["reload", "instances"]
    assert several.reload_text(found) == (
        f"new: started\nold: stopped\na: {manage.reload_text(APPLIED)}b: {manage.reload_text(away)}"
    )
    assert several.complaints(found) == "headgate: b: it is away\n"


def test_a_config_of_the_agent_that_is_refused_reloads_no_instance(agent: Agent) -> None:
    agent.answers["reload"] = {"ok": False, "error": "line 1\nline 2"}
    found = several.reload(AGENT)
    assert found == AgentReload(error="line 1\nline 2")
    assert several.complaints(found) == "line 1\nline 2\n"
    refused = AgentReload(results={"a": REFUSED})
    assert several.complaints(refused) == f"a: {REFUSED.diagnostics[0]}\n"


def test_a_drain_waits_for_the_agents_end_if_it_is_told_to(agent: Agent) -> None:
    agent.answers["drain"] = {"ok": True}
    assert several.drain(AGENT, wait=False) is None
    assert agent.waited == []
    assert several.drain(AGENT, wait=True) is None
    assert agent.waited == [(AGENT, INSTANCES_DOOR)]
    agent.answers["drain"] = {"ok": False, "error": "it is ending"}
    assert several.drain(AGENT, wait=True) == "it is ending"
    assert len(agent.waited) == 1


def test_an_upgrade_names_each_instance_that_was_not_upgraded(agent: Agent) -> None:
    agent.runs(a="running", b="running", c="waiting", d="running")
    agent.instances = {"a": None, "b": "it does not start", "d": calls.NoNodeError("it is away")}
    assert several.upgrade(AGENT) == "b: it does not start; d: it is away"
    agent.instances = dict.fromkeys("abd")
    assert several.upgrade(AGENT) is None


@pytest.mark.parametrize("states", [{}, {"a": "waiting", "b": "ended"}])
def test_nothing_is_upgraded_where_no_instance_runs(agent: Agent, states: dict[str, str]) -> None:
    agent.runs(**states)
    assert several.upgrade(AGENT) == "no instance of the agent at /agent runs"


def test_an_answer_that_is_none_is_told_as_such(agent: Agent) -> None:
    agent.answers["drain"] = {"ok": "perhaps"}
    with pytest.raises(calls.NoNodeError, match=r"the agent at /agent answers nonsense: Expected"):
        several.drain(AGENT, wait=False)

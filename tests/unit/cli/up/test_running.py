"""`headgate up` without its processes: what it starts, in which order, and what it says."""

import asyncio
import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import loops
import pytest
from waiting import DEADLINE_S

from headgate.cli import calls
from headgate.cli.remote.client import Master
from headgate.cli.up import first, running, upstreams
from headgate.cli.up.children import Child, UpError
from headgate.cli.up.running import Places, run

SAID = 'https://127.0.0.1:8080/setup#hgs_x\n{"msg":"the master serves"}\n'
LINK = "https://127.0.0.1:8080/setup#hgs_y"


class Process:
    """A process that runs until somebody ends it."""

    def __init__(self) -> None:
        self.returncode: int | None = None
        self.ended = asyncio.Event()

    async def wait(self) -> int:
        await self.ended.wait()
        return 0


class Fleet:
    """Everything that `up` does with others, in order; each condition holds at its `attempts`-th
    look, and `at_last` happens once the invitation was told."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.places = Places(
            folder / "new" / "up",
            "127.0.0.1:8000",
            "127.0.0.1:8080",
            "127.0.0.1:8443",
            "a:9090",
            9101,
        )
        self.did: list[str] = []
        self.started: dict[str, tuple[list[str], dict[str, str]]] = {}
        self.said = SAID
        self.told: list[str] = []
        self.processes: dict[str, Process] = {}
        self.at_last: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM)
        self.states = ["waiting", "connected"]
        self.statuses: list[int | None] = [None, 503, 200]
        self.links: list[str | None] = [None, "greeting", "live"]
        self.opened = first.Opened(cast(Master, SimpleNamespace(all=self.agents)), LINK)
        monkeypatch.setattr(upstreams, "serve", self.serve)
        monkeypatch.setattr(running, "start", self.start)
        monkeypatch.setattr(running, "_tell", self.tell)
        monkeypatch.setattr(calls, "call", self.call)
        monkeypatch.setattr(first, "keep_authority", lambda *a: self.note("keep", *a))
        monkeypatch.setattr(first, "set_up", self.set_up)
        monkeypatch.setattr(first, "write_config", self.write_config)
        monkeypatch.setattr(first, "publish", lambda _: self.note("publish"))

    def note(self, *what: object) -> None:
        self.did.append(" ".join(map(str, what)))

    def set_up(self, *what: object) -> first.Opened:
        self.note("set up", *what)
        return self.opened

    def write_config(self, master: Master, *what: object) -> str:
        assert master is self.opened.master
        self.note("config", *what)
        return "join"

    async def serve(self, ports: object) -> list[object]:
        self.note("upstreams", list(cast("dict[str, int]", ports)))
        return [SimpleNamespace(close=lambda: self.note("close"))]

    async def start(self, name: str, log: Path, arguments: list[str], env: dict[str, str]) -> Child:
        assert log == self.places.folder / f"{name}.log"
        self.note("start", name)
        self.started[name] = (arguments, env)
        process = self.processes[name] = Process()

        async def until(is_met: Callable[[], bool], what: str, seconds: float) -> None:
            for _ in range(4):
                if is_met():
                    return
            raise UpError(f"{what} did not happen within {seconds:g} s")

        async def stop(*signals: signal.Signals) -> None:
            self.note("stop", name, *(one.name for one in signals))

        child = SimpleNamespace(process=process, until=until, stop=stop, said=lambda: self.said)
        return cast(Child, child)

    def agents(self, path: str) -> list[dict[str, object]]:
        assert path == "/workspaces/default/agents"
        return [{}, {"state": self.states.pop(0)}]

    def call(self, place: Path, method: str, path: str) -> calls.Answer:
        assert (place, method) == (self.places.folder / "node", "GET")
        asked: list[int | None] | list[str | None] = self.statuses
        if path != "/ready":
            assert (path, self.statuses) == ("/status", [])
            asked = self.links
        if (said := asked.pop(0)) is None:
            raise calls.NoNodeError("no node runs")
        if isinstance(said, int):
            return calls.Answer(said, b"")
        return calls.Answer(200, json.dumps({"master": {"state": said}}).encode())

    def tell(self, text: str) -> None:
        self.told.append(text)
        self.at_last()


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(tmp_path, monkeypatch)


def test_the_first_start_sets_the_master_up_before_the_agent_joins(fleet: Fleet) -> None:
    async def ran() -> int:
        async with asyncio.timeout(DEADLINE_S):
            return await run(fleet.places)

    assert loops.run(ran()) == 0
    folder = fleet.places.folder
    url = "https://127.0.0.1:8080"
    ports = {"one": 9101, "two": 9102, "three": 9103}
    assert fleet.did == [
        "upstreams [9101, 9102, 9103]",
        "start master",
        f"keep {url} {folder}/ca.pem",
        f"set up {url} hgs_x {folder}/ca.pem",
        f"config 127.0.0.1:8000 {ports}",
        "start agent",
        "publish",
        "stop agent SIGTERM SIGINT",
        "stop master SIGTERM",
        "close",
    ]
    assert fleet.started["master"] == (
        [
            *("master", "--data", f"{folder}/master", "--fleet-tls"),
            *("--listen", "127.0.0.1:8080", "--agents-listen", "127.0.0.1:8443"),
        ],
        {"DATABASE_URL": ""},
    )
    assert fleet.started["agent"] == (
        [
            *("agent", "--master-url", f"{url}?grpc=8443", "--engine", "native"),
            *("--state-dir", f"{folder}/node", "--admin", "a:9090", "--log-level", "warn"),
        ],
        {"HEADGATE_AGENT_TOKEN": "join"},
    )
    (told,) = fleet.told
    assert f"once:\n  {LINK}\n" in told
    assert f"is in {folder}/ca.pem" in told
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (fleet.states, fleet.statuses, fleet.links) == ([], [], [])


def test_what_is_told_reaches_a_pipe_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(pipe))
    running._tell("a link")
    assert pipe.getvalue() == b"a link"


def test_a_later_start_only_starts(fleet: Fleet) -> None:
    fleet.places.folder.mkdir(parents=True)
    (fleet.places.folder / "set-up").touch()
    assert loops.run(run(fleet.places)) == 0
    assert fleet.did[1:3] == ["start master", "start agent"]
    assert fleet.started["agent"][1] == {}
    assert "This link" not in fleet.told[0]
    assert "curl -i http://127.0.0.1:8000/" in fleet.told[0]
    assert fleet.links == [], "the agent is connected"


def test_it_leaves_nothing_waiting_behind(fleet: Fleet) -> None:
    async def left() -> set[asyncio.Task[object]]:
        await run(fleet.places)
        await asyncio.sleep(0)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert loops.run(left()) == set()


@pytest.mark.parametrize("name", ["master", "agent"])
def test_it_ends_with_a_process_of_its_own(fleet: Fleet, name: str) -> None:
    def end() -> None:
        fleet.processes[name].ended.set()

    fleet.at_last = end
    assert loops.run(run(fleet.places)) == 1
    assert fleet.did[-1] == "close"
    assert (fleet.places.folder / "set-up").exists()


def test_a_port_that_is_taken_is_told_with_the_option(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def taken(_: object) -> None:
        raise OSError("address in use")

    monkeypatch.setattr(upstreams, "serve", taken)
    with pytest.raises(UpError, match="cannot listen: address in use; try --upstream-port"):
        loops.run(run(fleet.places))


def test_a_master_that_does_not_come_up_is_ended(fleet: Fleet) -> None:
    fleet.said = "it begins"
    with pytest.raises(UpError, match="the start of the master did not happen within 120 s"):
        loops.run(run(fleet.places))
    assert fleet.did[-2:] == ["stop master SIGTERM", "close"]


def test_a_master_that_has_a_user_already_gives_no_link(fleet: Fleet) -> None:
    fleet.said = '"the master serves"'
    with pytest.raises(UpError, match=f"did not finish; remove {fleet.places.folder}, and try"):
        loops.run(run(fleet.places))
    assert fleet.did[-2:] == ["stop master SIGTERM", "close"]
    assert not (fleet.places.folder / "set-up").exists()


def test_a_node_that_never_serves_is_not_set_up(fleet: Fleet) -> None:
    fleet.statuses = [None] * 4
    with pytest.raises(UpError, match="the first request of the node did not happen within 120 s"):
        loops.run(run(fleet.places))
    assert fleet.told == []
    assert not (fleet.places.folder / "set-up").exists()


@pytest.mark.parametrize(
    ("called", "shown"),
    [
        ("headgate", "headgate"),
        ("{here}/.venv/bin/headgate", ".venv/bin/headgate"),
        ("/opt/bin/headgate", "/opt/bin/headgate"),
        ("/opt/bin/pytest", "headgate"),
    ],
)
def test_the_commands_to_try_name_the_program_as_it_was_called(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, called: str, shown: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [called.format(here=tmp_path)])
    text = running._invitation(fleet.places, "")
    assert f"\n  {shown} agents --context up\n" in text
    assert f"\n  {shown} explain GET http://127.0.0.1:8000/ --state-dir " in text

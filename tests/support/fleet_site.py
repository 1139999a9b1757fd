"""A person with documents and a fleet of two agents, and commands that reach a master without a
socket."""

import json
from collections.abc import Iterable
from pathlib import Path

import httpx2
import pytest
from asgi import ask
from at_terminal import Person
from master_world import PASSWORD, World
from sqlalchemy import update

from headgate.master.domains.agents import store as agents
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.rollouts.driver import Driver
from headgate.master.domains.rollouts.driver import World as Driven
from headgate.master.domains.rollouts.figures import Figures
from headgate.master.store.leases import RowLeases
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

AGENTS = ("agent-one".ljust(26, "0"), "agent-two".ljust(26, "0"))
QUICK = ("--soak", "0", "--min-requests", "0")
SITE = """\
[listeners.web]
address = "127.0.0.1:8000"
default = true

[routes.all]
upstream = "app"

[upstreams.app]
endpoints = ["127.0.0.1:%d"]
"""


class Hub:
    """A hub without sessions."""

    def wake(self, agent_ids: Iterable[str]) -> None:
        pass

    def connected(self) -> frozenset[str]:
        return frozenset()

    def cut(self, agent_id: str) -> None:
        raise AssertionError(agent_id)


class Site:
    """A person with documents, and a fleet of two agents that do what they are told."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        world.set_up()
        self.documents = folder / "site.toml"
        self.refused: int | None = None
        self.person = Person(folder / "home", "http://127.0.0.1:8080")
        self.person.log_in(PASSWORD)
        self.person.run("create", "fleet", "edge", "--label", "tier=front")
        (fleet,) = json.loads(self.person.run("get", "fleets", "-o", "json"))
        self._fleet = str(fleet["id"])
        world.runner.run(world.database.write(MASTER, self._join))
        self._figures = Figures()
        leases = RowLeases(world.database, self._now)
        driven = Driven(world.database, leases, Hub(), world.master.feeds, self._figures, self._now)
        self._driver = Driver(driven, "one")
        self.pass_time()

    def write(self, port: int) -> None:
        """Writes the documents."""
        self.documents.write_text(SITE % port)

    def apply(self, *words: str, code: int = 0) -> str:
        """Applies them and waits."""
        words = ("apply", "-f", str(self.documents), "--wait", *QUICK, *words)
        return self.person.run(*words, code=code)

    def pass_time(self, _seconds: float = 0.0) -> None:
        """Five seconds: the agents obey and report, the driver looks."""
        self.world.advance(seconds=5)
        self.world.runner.run(self.world.database.write(self._scope, self._obey))
        self.world.runner.run(self._driver.tick())

    def _now(self) -> int:
        return self.world.now_ms

    async def _join(self, tx: Transaction) -> None:
        row = await fleets.find(tx, self._fleet)
        assert row is not None
        self._scope = Scope(row.organisation_id, row.workspace_id)
        for name in AGENTS:
            values: dict[str, object] = {"id": name, "fleet": row.id, "name": name, "token": "t"}
            values |= {"labels": "{}", "key_hash": "k", "created_at": 1}
            await agents.insert(tx.within(self._scope), values | {"certificate_expires_at": 1})

    async def _obey(self, tx: Transaction) -> None:
        now = self.world.now_ms
        for name in AGENTS:
            row = await agents.find(tx, name)
            assert row is not None
            values: dict[str, object] = {"acknowledged": row.desired, "held_scope": row.fleet}
            if self.refused is not None and row.desired == self.refused:
                values["error"] = json.dumps(
                    {"revision": self.refused, "code": "config", "text": "no such address",
                     "is_transient": False, "object": "listeners/web", "file": "", "line": 0}
                )  # fmt: skip
            else:
                values |= {"serving": row.desired, "applied": row.desired, "error": None}
            figures = {"requests": 0.0, "errors": 0.0, "latency_p99_ms": 0.0}
            self._figures.add(name, now / 1000, figures)
            where = agents.AGENTS.c.id == name
            await tx.change(
                update(agents.AGENTS).where(where).values(connected_at=now, seen_at=now, **values)
            )


def sited(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Returns a fleet; the requests of commands reach its master without a socket."""

    def answer(_transport: object, request: httpx2.Request) -> httpx2.Response:
        path = request.url.raw_path.decode()
        headers = {name.lower(): value for name, value in request.headers.items()}
        work = ask(world.app, request.method, path, request.read(), headers)
        reply = world.runner.run(work)
        return httpx2.Response(reply.status, headers=reply.headers, content=reply.body)

    monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", answer)
    one = Site(world, tmp_path)
    # Time passes where a command waits.
    for module in ("rollout_view", "publishing"):
        monkeypatch.setattr(f"headgate.cli.remote.{module}.time.sleep", one.pass_time)
    return one

"""A master's REST application on a real database, with a clock of ours and without sockets."""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from asgi import Reply, ask, dialled

from headgate.master.application import application
from headgate.master.backup.automatic import before_migration
from headgate.master.backup.places import Subject
from headgate.master.domains.sessions.passwords import Passwords
from headgate.master.domains.sessions.service import setup_token
from headgate.master.ids import Clock
from headgate.master.services import assembled
from headgate.master.store.database import Database
from headgate.master.store.opening import Place, open_database
from headgate.master.store.scope import MASTER
from headgate.master.store.sealing import load_sealer

PASSWORD = "correct horse battery"  # noqa: S105 - of tests
LISTENER = {"address": "127.0.0.1:8000", "default": True}
ROUTE = {"hosts": ["a.example"], "upstream": "api"}
UPSTREAM = {"endpoints": ["127.0.0.1:9000"]}
START_MS = 1_800_000_000_000


@dataclass(frozen=True)
class Answer:
    """What the master answered."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> dict[str, object]:
        """The body."""
        found = json.loads(self.text)
        assert isinstance(found, dict)
        return found

    def __getitem__(self, key: str) -> str:
        """A field of the body, as text."""
        return str(self.json[key])

    @property
    def items(self) -> list[dict[str, object]]:
        """The items of a list."""
        found = self.json["items"]
        assert isinstance(found, list)
        return found


async def opened(place: Place, clock: Clock) -> Database:
    """Opens the database of a place as a master's process does; its key is in the directory."""
    return await open_database(place, clock, before_migration(Subject(place, None, "0", clock)))


class World:
    """A master whose clock is `now_ms`."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.url = url
        self.now_ms = START_MS
        self.address = ""
        """The address from which the next requests come; empty if the server knows none."""
        self.runner = asyncio.Runner()
        self.open()

    def open(self) -> None:
        """Opens the database and reads the fleet's authorities, as a start does."""
        place = Place(self.directory, self.url)
        self.database = self.runner.run(opened(place, lambda: self.now_ms))
        sealer = load_sealer(self.directory / "master.key", None)
        cheap = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        self.master = assembled(self.database, sealer, lambda: self.now_ms, cheap)
        self.master.pauses.pause_s = 0
        self.runner.run(self.master.authority.authorities())
        self.app = application(self.master, "0")

    def close(self) -> None:
        """Closes the database."""
        self.runner.run(self.database.close())

    def end(self) -> None:
        """Closes everything."""
        self.close()
        self.runner.close()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        token: str | None = None,
        **headers: str,
    ) -> Answer:
        """One request; `if_match="…"` becomes a header."""
        lines = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            lines["authorization"] = f"Bearer {token}"
        if body is not None:
            lines["content-type"] = "application/json"
        raw = b"" if body is None else json.dumps(body).encode()
        asked = ask(self.app, method, f"/api/v1{path}", raw, lines, self.address)
        reply: Reply = self.runner.run(asked)
        return Answer(reply.status, reply.headers, reply.body.decode())

    def dial(self, path: str, token: str | None = None) -> Answer:
        """Opens a WebSocket and leaves; the status is 101 if the master let the client in."""
        lines = {} if token is None else {"authorization": f"Bearer {token}"}

        async def opened() -> Answer:
            async with dialled(self.app, f"/api/v1{path}", lines) as socket:
                return Answer(socket.status, {}, socket.body.decode())

        return self.runner.run(opened())

    def set_up(self) -> str:
        """Makes the first administrator, `ann` of the organisation `main`; returns her token."""
        token = self.runner.run(
            self.database.write(MASTER, lambda tx: setup_token(tx, self.now_ms))
        )
        body = {"token": token, "name": "ann", "password": PASSWORD}
        answer = self.ask("POST", "/auth/setup", body)
        assert answer.status == 200, answer.text
        return answer["access_token"]

    def invite(self, admin: str, name: str, role: str, workspace: str = "", query: str = "") -> str:
        """Makes a user with a role, in the whole organisation or in the workspace of that id;
        returns their access token."""
        body = {"name": name, "role": role, "workspace": workspace}
        made = self.ask("POST", f"/users{query}", body, admin)
        assert made.status == 201, made.text
        done = self.ask("POST", "/auth/setup", {"token": made["setup_token"], "password": PASSWORD})
        assert done.status == 200, done.text
        return done["access_token"]

    def advance(self, **lengths: int) -> None:
        """Moves the clock: `minutes=5`."""
        units = {"ms": 1, "seconds": 1_000, "minutes": 60_000, "hours": 3_600_000}
        units["days"] = 86_400_000
        self.now_ms += sum(units[unit] * length for unit, length in lengths.items())

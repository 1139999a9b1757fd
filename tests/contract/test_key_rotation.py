"""The rotation of the key of several masters on one database, each with a key file of its own."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from asgi import Reply, ask
from fastapi import FastAPI
from master_world import PASSWORD, World
from sqlalchemy import select

from headgate.master import domains
from headgate.master.application import application
from headgate.master.domains.rotation.keys import SEALED
from headgate.master.domains.secrets import store as secrets
from headgate.master.domains.secrets.types import SealedSecret
from headgate.master.services import assembled
from headgate.master.store.scope import MASTER, Query
from headgate.master.store.sealing import forget_older_keys, key_name_of, load_sealer, new_key_file
from headgate.master.store.transaction import Transaction

W = "/workspaces/default"


class Masters:
    """The master of a world, and another one, which began with the same key in its own file."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.admin = world.set_up()
        self.file = world.directory / "master.key"
        self.other_file = world.directory / "other.key"
        shutil.copy(self.file, self.other_file)
        self.other = assembled(
            world.database,
            load_sealer(self.other_file, None),
            lambda: world.now_ms,
            world.master.passwords,
        )
        world.runner.run(self.other.authority.authorities())
        self.other_app = application(self.other, "0")

    def add_key(self) -> None:
        """Puts a new key first into both files."""
        new_key_file(self.file, self.file.read_text())
        shutil.copy(self.file, self.other_file)

    def forget(self) -> None:
        """Removes the older keys from both files."""
        forget_older_keys(self.file)
        forget_older_keys(self.other_file)

    def rotate(self) -> None:
        """Rotates the key at the first master, which says that it is done."""
        done = self.world.ask("POST", "/master/key/rotation", token=self.admin)
        assert (done.status, done.json["is_rotated"]) == (200, True), done.text

    def ask_other(
        self, method: str, path: str, body: object = None, token: str | None = None
    ) -> Reply:
        """Asks the other master, as its administrator or with a token."""
        token = token or self.admin
        return self.world.runner.run(asked(self.other_app, token, method, path, body))

    def key_names(self) -> set[str]:
        """The names of the keys that have sealed what is in the database."""

        async def work(tx: Transaction) -> set[str]:
            found: set[str] = set()
            for one in SEALED:
                query: Query = select(one.table.c.sealed)
                sealed = await tx.texts(query.where(one.table.c.sealed.is_not(None)))
                found |= {key_name_of(text) for text in sealed}
            return found

        return self.world.runner.run(self.world.database.write(MASTER, work))


async def asked(app: FastAPI, token: str, method: str, path: str, body: object = None) -> Reply:
    """One request to a master."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    raw = b"" if body is None else json.dumps(body).encode()
    return await ask(app, method, f"/api/v1{path}", raw, headers)


def first_name(file: Path) -> str:
    """The name of the first key of a file."""
    return load_sealer(file, None).names[0]


@pytest.fixture
def masters(world: World) -> Masters:
    return Masters(world)


def test_what_another_master_seals_after_a_rotation_needs_the_new_key_alone(
    masters: Masters,
) -> None:
    world = masters.world
    masters.add_key()
    masters.rotate()
    put = masters.ask_other("PUT", f"{W}/secrets/a.key", {"content": "c2VjcmV0"})
    assert put.status == 200, put.body
    world.advance(days=8)  # a new key signs access tokens
    login = {"name": "ann", "password": PASSWORD}
    given = masters.ask_other("POST", "/auth/login", login)
    assert given.status == 200, given.body
    assert masters.key_names() == {first_name(masters.file)}
    masters.forget()
    world.close()
    world.open()
    token = json.loads(given.body)["access_token"]
    shown = world.ask("GET", "/master/key", token=token)
    assert (shown.status, shown.json["is_rotated"], shown.json["unknown"]) == (200, True, 0)


def test_another_master_follows_the_order_of_its_file_and_opens_what_it_opened(
    masters: Masters,
) -> None:
    before = masters.other.sealer.seal(b"secret", "a key")
    masters.add_key()
    masters.world.runner.run(masters.other.authority.refresh())
    assert masters.other.sealer.names == (key_name_of(before),)
    masters.rotate()
    masters.world.runner.run(masters.other.authority.refresh())
    assert masters.other.sealer.names[0] == first_name(masters.file)
    assert masters.other.sealer.open(before, "a key") == b"secret"
    shown = json.loads(masters.ask_other("GET", "/master/key").body)
    assert (shown["is_rotated"], shown["unknown"]) == (True, 0)


def test_the_other_master_says_at_once_how_a_rotation_stands(masters: Masters) -> None:
    masters.add_key()
    masters.rotate()
    shown = json.loads(masters.ask_other("GET", "/master/key").body)
    assert (shown["is_rotated"], shown["unknown"]) == (True, 0)
    assert shown["keys"][0]["name"] == first_name(masters.file)


def test_secrets_in_tables_are_sealed_with_the_key_of_all_masters() -> None:
    """Not with the first one that a master happens to have. Searches go between masters at once."""
    folder = Path(domains.__path__[0])
    sealing = {
        str(file.relative_to(folder))
        for file in folder.rglob("*.py")
        if "sealer.seal(" in file.read_text()
    }
    assert sealing == {"logs/relaying.py"}


def test_a_master_without_the_new_key_seals_nothing(masters: Masters) -> None:
    new_key_file(masters.file, masters.file.read_text())
    masters.rotate()
    new = {"name": "ci", "role": "operator"}
    token = masters.world.ask("POST", "/tokens", new, masters.admin)["secret"]
    path, content = f"{W}/secrets/a.key", {"content": "c2VjcmV0"}
    for answer in (
        masters.ask_other("PUT", path, content, token),
        masters.ask_other("GET", "/master/key"),
    ):
        problem = json.loads(answer.body)
        assert (answer.status, problem["type"]) == (503, "urn:headgate:problem:key-missing")
    assert masters.key_names() == {first_name(masters.file)}
    shutil.copy(masters.file, masters.other_file)
    again = masters.ask_other("PUT", path, content, token)
    assert again.status == 200, again.body


def test_a_rotation_waits_for_what_is_being_sealed(
    masters: Masters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other master has sealed a secret, and not written it yet, when the rotation begins."""
    world = masters.world
    masters.add_key()
    sealed = asyncio.Event()
    insert = secrets.insert

    async def waiting() -> list[int]:
        return await world.database.numbers("SELECT count(*) FROM pg_locks WHERE NOT granted")

    async def both() -> list[int]:
        async def slow(tx: Transaction, one: SealedSecret) -> None:
            sealed.set()
            # SQLite's writers take turns.
            while world.url and not (rotation.done() or (await waiting())[0]):
                pass
            await insert(tx, one)

        async def rotate() -> Reply:
            await sealed.wait()
            return await asked(world.app, masters.admin, "POST", "/master/key/rotation")

        monkeypatch.setattr(secrets, "insert", slow)
        rotation = asyncio.create_task(rotate())
        new, path = {"content": "c2VjcmV0"}, f"{W}/secrets/a.key"
        written = await asked(masters.other_app, masters.admin, "PUT", path, new)
        return [written.status, (await rotation).status]

    assert world.runner.run(both()) == [200, 200]
    assert masters.key_names() == {first_name(masters.file)}


def test_a_master_goes_on_sealing_while_it_rotates(masters: Masters) -> None:
    world = masters.world
    masters.add_key()

    async def all_at_once() -> list[int]:
        paths = [f"{W}/secrets/{name}.key" for name in "abcdefgh"]
        work = [asked(world.app, masters.admin, "POST", "/master/key/rotation")]
        work += [
            asked(app, masters.admin, "PUT", path, {"content": "c2VjcmV0"})
            for path, app in zip(paths, [world.app, masters.other_app] * 4, strict=True)
        ]
        return [one.status for one in await asyncio.gather(*work)]

    assert set(world.runner.run(all_at_once())) == {200}
    assert masters.key_names() == {first_name(masters.file)}
    assert world.ask("GET", "/master/key", token=masters.admin).json["is_rotated"] is True

"""Backups: written while a master runs, taken back by either database, refused where they would
do harm."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import loops
import pytest
from asgi import ask
from master_world import LISTENER, PASSWORD, START_MS, World
from postgres import Postgres
from sqlalchemy.ext.asyncio import AsyncEngine
from waiting import until_async

from headgate.certificates.authority import new_csr, new_key
from headgate.fleet.frames import Hello
from headgate.master.backup import envelope, places, restoring
from headgate.master.backup.envelope import LEAST_PASSPHRASE, checked_passphrase, records
from headgate.master.backup.places import Subject, back_up_master, restore_master
from headgate.master.backup.records import End, Head, Rows, decoded
from headgate.master.fleet.book import AgentFacts
from headgate.master.store import migrate
from headgate.master.store.errors import StartError
from headgate.master.store.opening import Place, sqlite
from headgate.master.store.sealing import KEY_FILE, new_key_file

W = "/workspaces/default"
SECRET = b"a long passphrase"
LATER_MS = START_MS + 3_600_000


@pytest.fixture(autouse=True)
def _cheap_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key takes a second of CPU time by design; `tests/unit/master/backup` has the real one."""
    monkeypatch.setattr(envelope, "_COST", 1 << 4)


@pytest.fixture(params=["sqlite", "postgresql"])
def other_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of another empty database; empty for SQLite."""
    if request.param == "sqlite":
        yield ""
        return
    cluster = Postgres()
    yield cluster.database()
    cluster.close()


def subject(folder: Path, url: str = "", key: str | None = None) -> Subject:
    return Subject(Place(folder, url), key, "0", lambda: LATER_MS)


def backed_up(world: World, file: Path, key: str | None = None) -> End:
    of = subject(world.directory, world.url, key)
    return world.runner.run(back_up_master(of, file, SECRET))


def restored(file: Path, folder: Path, url: str = "", *, replace: bool = False) -> End:
    work = restore_master(subject(folder, url), file, SECRET, is_replacing=replace)
    return loops.run(work)


def head(file: Path) -> Head:
    with file.open("rb") as opened:
        first = decoded(next(records(opened, SECRET)))
    assert isinstance(first, Head)
    return first


def a_fleet(world: World) -> tuple[str, str]:
    """Makes a published config with a secret and an agent; its id and the administrator's token."""
    admin = world.set_up()
    world.ask("POST", f"{W}/fleets", {"name": "edge"}, admin)
    world.ask("PUT", f"{W}/resources/listeners/web", {"spec": LISTENER}, admin)
    put = world.ask("PUT", f"{W}/secrets/key.pem", {"content": "c2VjcmV0"}, admin)
    assert put.status == 200, put.text
    made = world.ask("POST", f"{W}/revisions", {"fleet": "edge"}, admin)
    assert made.status == 201, made.text
    token = world.ask("POST", f"{W}/join-tokens", {"fleet": "edge"}, admin)["token"]
    facts = AgentFacts("node-1", "1")
    enrolled = world.runner.run(world.master.book.enrol(token, new_csr(new_key()), facts, ""))
    return enrolled.agent, admin


def fence(world: World, agent: str) -> int:
    return world.runner.run(world.master.book.joined(agent, Hello(agent, 1, "1"), ""))


_ANALYSED = "SELECT reltuples::int FROM pg_class WHERE relname = 'resources'"


@pytest.mark.timeout(600)
def test_either_database_takes_a_backup_of_a_running_master(
    world: World, other_url: str, tmp_path: Path
) -> None:
    agent, _ = a_fleet(world)
    before = fence(world, agent)
    file = tmp_path / "monday"
    end = backed_up(world, file)
    assert (end.counts["users"], end.counts["agents"]) == (1, 1)
    assert file.stat().st_mode & 0o777 == 0o600
    for _ in range(5):  # sessions that the backup knows nothing of
        newest = fence(world, agent)
    assert newest > before
    # Long enough not to occur by chance among random bytes.
    assert b"argon2id" not in file.read_bytes()

    assert restored(file, tmp_path / "new", other_url) == end
    other = World(tmp_path / "new", other_url)
    try:
        answer = other.ask("POST", "/auth/login", {"name": "ann", "password": PASSWORD})
        assert answer.status == 200, answer.text
        admin = answer["access_token"]
        if not other.database.is_sqlite:
            assert other.runner.run(other.database.numbers(_ANALYSED)) == [1]
        shown = other.ask("GET", f"{W}/resources/listeners/web", token=admin)
        assert shown.json["spec"] == LISTENER
        found = other.ask("GET", f"{W}/agents/{agent}", token=admin)
        assert (found["state"], found.json["revisions"]["desired"]) == ("away", 1)  # type: ignore[index]
        assert fence(other, agent) > newest
        wanted = other.runner.run(other.master.book.desired(agent))
        assert wanted is not None
        run, book = other.runner.run, other.master.book
        hashes = [one.sha256 for one in other.master.hub.shelf.listed(wanted.manifest).entries]
        assert list(run(book.blobs(agent, hashes))) == hashes
        # Its key is sealed: it can be shown only if the master's key came along.
        authority = other.ask("GET", "/enrolment/authorities").text
        assert authority == world.ask("GET", "/enrolment/authorities").text
    finally:
        other.end()


def test_a_backup_without_the_key_of_its_secrets_is_refused(world: World, tmp_path: Path) -> None:
    """The directory of the command may be another one than the master's, which has the key."""
    a_fleet(world)
    (world.directory / KEY_FILE).rename(tmp_path / "kept")
    file = tmp_path / "monday"
    with pytest.raises(StartError, match=f"there is no {KEY_FILE} in {world.directory}; name the"):
        backed_up(world, file)
    new_key_file(world.directory / KEY_FILE)
    with pytest.raises(StartError, match=r"sealed with a key that is not in .*; name the master's"):
        backed_up(world, file)
    with pytest.raises(StartError, match="that is not in HEADGATE_MASTER_KEY; name the master's"):
        backed_up(world, file, "A" * 43 + "=")
    assert [one.name for one in tmp_path.iterdir() if "monday" in one.name] == []
    (tmp_path / "kept").rename(world.directory / KEY_FILE)
    assert backed_up(world, file).counts["users"] == 1


def test_a_backup_has_the_keys_of_the_time_of_its_rows(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The master's key may be replaced between the start of a backup and its view of the rows."""
    a_fleet(world)
    key_file, engine = world.directory / KEY_FILE, places._reading

    @contextlib.asynccontextmanager
    async def late(place: Place) -> AsyncIterator[AsyncEngine]:
        new_key_file(key_file, key_file.read_text())
        async with engine(place) as one:
            yield one

    monkeypatch.setattr(places, "_reading", late)
    backed_up(world, tmp_path / "monday")
    assert head(tmp_path / "monday").master_key == key_file.read_text()


def test_a_master_with_data_is_not_replaced_unasked(world: World, tmp_path: Path) -> None:
    _, admin = a_fleet(world)
    file = tmp_path / "monday"
    backed_up(world, file)
    world.ask("POST", "/organisations/main/workspaces", {"name": "after"}, admin)
    world.close()
    with pytest.raises(StartError, match="has data already"):
        restored(file, world.directory, world.url)
    world.open()
    listed = world.ask("GET", "/workspaces", token=admin).items
    assert {one["name"] for one in listed} == {"default", "after"}
    world.close()
    restored(file, world.directory, world.url, replace=True)
    world.open()
    listed = world.ask("GET", "/workspaces", token=admin).items
    assert {one["name"] for one in listed} == {"default"}
    if not world.url:
        copy = world.directory / "backups" / f"before-restore-{LATER_MS}.db"
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("SELECT count(*) FROM workspaces").fetchone() == (2,)


def test_a_master_that_runs_is_not_replaced(world: World, tmp_path: Path) -> None:
    a_fleet(world)
    file = tmp_path / "monday"
    backed_up(world, file)
    world.now_ms = LATER_MS
    held = world.runner.run(world.master.leases.acquire("rollouts", "m", 15_000))
    assert held is not None
    if world.url:
        with pytest.raises(StartError, match="a master uses this database"):
            restored(file, tmp_path / "elsewhere", world.url, replace=True)
    assert world.ask("GET", "/health").status == 200


def a_stopped_master(folder: Path) -> tuple[World, str]:
    """A master of SQLite with a workspace that its backup has not, which was killed: its log is
    there. The administrator's token too."""
    (folder / "m").mkdir()
    world = World(folder / "m", "")
    _, admin = a_fleet(world)
    backed_up(world, folder / "monday")
    world.ask("POST", "/organisations/main/workspaces", {"name": "after"}, admin)
    log = (world.directory / "master.db-wal").read_bytes()
    assert log
    world.close()
    (world.directory / "master.db-wal").write_bytes(log)
    return world, admin


def workspaces(world: World, admin: str) -> set[object]:
    return {one["name"] for one in world.ask("GET", "/workspaces", token=admin).items}


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_nothing_of_a_log_that_was_left_is_in_a_restored_master(
    tmp_path: Path, suffix: str
) -> None:
    world, admin = a_stopped_master(tmp_path)
    directory = world.directory
    log = (directory / "master.db-wal").rename(directory / f"master.db{suffix}").read_bytes()
    (directory / "master.db").unlink()
    restored(tmp_path / "monday", directory)
    world.open()
    assert workspaces(world, admin) == {"default"}
    world.end()
    # It may have the newest of what was lost, so that it is kept.
    assert (directory / "backups" / f"before-restore-{LATER_MS}.db{suffix}").read_bytes() == log


@pytest.mark.parametrize(("start", "length"), [(0, 8_192), (0, 4_096), (4_096, 4_096), (0, 20)])
@pytest.mark.parametrize("byte", [b"x", b"\0"])
def test_a_damaged_database_is_replaced_and_kept(
    tmp_path: Path, start: int, length: int, byte: bytes
) -> None:
    world, admin = a_stopped_master(tmp_path)
    directory = world.directory
    (directory / "master.db-wal").unlink()
    file, backup = directory / "master.db", tmp_path / "monday"
    text = file.read_bytes()
    damaged = text[:start] + byte * length + text[start + length :]
    file.write_bytes(damaged)
    with pytest.raises(StartError, match="has data already"):
        restored(backup, directory)
    restored(backup, directory, replace=True)
    kept = (directory / "backups" / f"before-restore-{LATER_MS}.db").read_bytes()
    assert kept[start:] == damaged[start:]  # SQLite counts changes at the start of what it can read
    world.open()
    assert workspaces(world, admin) == {"default"}
    world.end()


def test_a_database_that_is_in_use_is_not_taken_for_a_damaged_one(tmp_path: Path) -> None:
    world, admin = a_stopped_master(tmp_path)
    with closing(sqlite3.connect(world.directory / "master.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM workspaces").fetchone()
        with pytest.raises(StartError, match="cannot be restored: database is locked"):
            restored(tmp_path / "monday", world.directory, replace=True)
    world.open()
    assert workspaces(world, admin) == {"default", "after"}
    world.end()


def test_a_master_that_had_its_clock_ahead_can_be_replaced(world: World, tmp_path: Path) -> None:
    a_fleet(world)
    file = tmp_path / "monday"
    end = backed_up(world, file)
    world.now_ms = LATER_MS + 7_200_000
    held = world.runner.run(world.master.leases.acquire("rollouts", "m", 15_000))
    assert held is not None
    # Of SQLite, the lock of the directory says whether the master runs.
    directory = tmp_path / "elsewhere" if world.url else world.directory
    world.close()
    assert restored(file, directory, world.url, replace=True) == end


def test_a_backup_is_one_view_of_the_database(world: World, tmp_path: Path) -> None:
    """Each workspace is made with its line in the audit log; a backup has both or neither."""
    admin = world.set_up()
    path = "/organisations/main/workspaces"
    stop, count = False, 0

    async def write() -> None:
        nonlocal count
        headers = {"authorization": f"Bearer {admin}", "content-type": "application/json"}
        while not stop:
            body = b'{"name": "w%d"}' % count
            reply = await ask(world.app, "POST", f"/api/v1{path}", body, headers)
            assert reply.status == 201
            count += 1

    async def both() -> None:
        nonlocal stop
        writing = asyncio.create_task(write())

        async def another() -> None:
            before = count
            await until_async(lambda: writing.done() or count > before, "another workspace")

        of = subject(world.directory, world.url)
        for number in range(3):
            await another()
            await back_up_master(of, tmp_path / f"b{number}", SECRET)
        await another()
        stop = True
        await writing

    world.runner.run(both())
    assert count > 3
    seen = []
    for number in range(3):
        with (tmp_path / f"b{number}").open("rb") as file:
            found = [decoded(one) for one in records(file, SECRET)]
        rows = [one for one in found if isinstance(one, Rows)]
        made = sum(len(one.rows) for one in rows if one.table == "workspaces") - 1
        lines = [
            row
            for one in rows
            if one.table == "audit"
            for row in one.rows
            if str(row[one.columns.index("action")]).endswith("/{organisation}/workspaces")
        ]
        assert made == len(lines)
        seen.append(made)
    assert seen == sorted(seen)


def test_a_backup_of_an_older_schema_is_brought_to_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    engine = sqlite(old / "master.db", is_writer=True)

    async def make() -> None:
        async with engine.begin() as connection:
            await connection.run_sync(migrate.upgrade, "0001")
            await connection.exec_driver_sql(
                "INSERT INTO organisations (id, name, created_at, version) VALUES ('o', 'm', 1, 1)"
            )
        await engine.dispose()

    loops.run(make())
    (old / "master.key").write_text("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    file = tmp_path / "monday"
    loops.run(back_up_master(subject(old), file, SECRET))
    restored(file, tmp_path / "new")
    world = World(tmp_path / "new", "")
    with closing(sqlite3.connect(tmp_path / "new" / "master.db")) as connection:
        assert connection.execute("SELECT name FROM organisations").fetchall() == [("m",)]
        assert connection.execute("SELECT count(*) FROM rollouts").fetchone() == (0,)
    world.end()

    monkeypatch.setattr(restoring, "known_schemas", lambda: frozenset({"0000"}))
    with pytest.raises(StartError, match="newer than this one"):
        restored(file, tmp_path / "newer")
    assert not (tmp_path / "newer").exists()


def test_what_was_changed_or_cut_off_does_not_open(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    world = World(tmp_path / "m", "")
    a_fleet(world)
    whole = tmp_path / "monday"
    backed_up(world, whole)
    world.end()
    text = whole.read_bytes()
    bad = tmp_path / "bad"
    for spoilt in (text[:-1], text[:-20], text[: len(text) // 2], b"x" * 99, b""):
        bad.write_bytes(spoilt)
        with pytest.raises(StartError):
            restored(bad, tmp_path / "new")
    for place in (0, 20, 40, 200, len(text) // 2, len(text) - 1):
        bad.write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        with pytest.raises(StartError):
            restored(bad, tmp_path / "new")
    assert not (tmp_path / "new" / "master.db").exists()
    with pytest.raises(StartError, match="does not open with this passphrase"):
        loops.run(
            restore_master(subject(tmp_path / "new"), whole, b"another one", is_replacing=False)
        )
    with pytest.raises(StartError, match="exists already"):
        loops.run(back_up_master(subject(tmp_path / "m"), whole, SECRET))
    assert whole.read_bytes() == text
    with pytest.raises(StartError, match="too short"):
        checked_passphrase("x" * (LEAST_PASSPHRASE - 1), "it")


def test_a_key_of_the_environment_is_not_in_the_backup_and_is_needed(
    tmp_path: Path,
) -> None:
    (tmp_path / "m").mkdir()
    world = World(tmp_path / "m", "")
    a_fleet(world)
    key = (tmp_path / "m" / "master.key").read_text().strip()
    file = tmp_path / "monday"
    backed_up(world, file, key)
    world.end()
    assert head(file).master_key is None
    new = tmp_path / "new"
    with pytest.raises(StartError, match="set HEADGATE_MASTER_KEY"):
        restored(file, new)
    wrong = "A" * 43 + "="
    for given, fits in ((wrong, False), (key, True)):
        work = restore_master(subject(new, "", given), file, SECRET, is_replacing=False)
        if fits:
            assert loops.run(work).counts["agents"] == 1
        else:
            with pytest.raises(StartError, match="the master's key of this backup is missing"):
                loops.run(work)
            assert not (new / "master.db").exists()
    assert not (new / "master.key").exists()

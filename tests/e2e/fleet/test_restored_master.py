"""A master that is lost and restored from its backup: people log in again, and agents come back by
themselves, as who they were."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet_node import Node, serving
from master_operator import Operator, W, put
from master_process import PASSWORD, master
from ports import free_port
from postgres import Postgres
from running_node import Upstream, get
from waiting import until

SERVES = "the master serves"


@pytest.fixture(params=["sqlite", "postgresql"])
def databases(request: pytest.FixtureRequest) -> Iterator[tuple[list[str], list[str]]]:
    """The options for a database, and those for an empty one after its loss."""
    if request.param == "sqlite":
        yield [], []
        return
    cluster = Postgres()
    yield ["--database-url", cluster.database()], ["--database-url", cluster.database()]
    cluster.close()


def headgate(*arguments: str) -> str:
    """A command that succeeds; what it printed."""
    command = [sys.executable, "-c", "from headgate.cli.main import main; main()", *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}
    environment["HEADGATE_BACKUP_PASSPHRASE"] = "a long passphrase"  # noqa: S105 - of tests
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(600)
def test_agents_of_a_restored_master_are_who_they_were(
    folder: Path,
    port: int,
    one: Upstream,
    two: Upstream,
    databases: tuple[list[str], list[str]],
) -> None:
    before, after = databases
    (folder / "m").mkdir()
    data, monday = folder / "m" / "data", folder / "monday"
    rest, grpc = free_port(), free_port()
    options = ["--listen", f"127.0.0.1:{rest}", "--fleet-tls"]
    options += ["--agents-listen", f"127.0.0.1:{grpc}"]
    with master(folder / "m", *options, *before) as running:
        person = Operator(running)
        person.ask(f"{W}/fleets", {"name": "edge"})
        token = person.ask(f"{W}/join-tokens", {"fleet": "edge"})["token"]
        with Node(folder, f"grpcs://127.0.0.1:{grpc}?rest={rest}", token):
            put(person, port, one.address)
            person.ask(f"{W}/revisions", {"fleet": "edge"})
            until(lambda: serving(person) == 1, "the first revision is serving", deadline_s=120)
            agent = person.agent()["id"]
            said = headgate("master", "backup", str(monday), "--data", str(data), *before)
            assert "1 users, 1 agents, 1 revisions, 3 resources" in said
            # What was published after the backup is lost with the master.
            put(person, port, two.address)
            person.ask(f"{W}/revisions", {"fleet": "edge"})
            until(lambda: serving(person) == 2, "the second revision is serving", deadline_s=120)
            running.process.kill()
            running.process.wait()
            shutil.rmtree(data)
            assert get(port)[1] == b"two"

            headgate("master", "restore", str(monday), "--data", str(data), *after)
            with master(folder / "m", *options, *after, says=SERVES) as again:
                body = {"name": "ann", "password": PASSWORD}
                person.token = ""
                person.token = str(person.ask("/api/v1/auth/login", body)["access_token"])
                # The restored rows say that it is serving; the node itself must say so again.
                until(lambda: get(port)[1] == b"one", "the node serves it again", deadline_s=120)
                until(lambda: person.agent()["state"] == "connected", "it is connected")
                assert person.agent()["id"] == agent
                put(person, port, two.address)
                assert person.ask(f"{W}/revisions", {"fleet": "edge"})["number"] == 2
                until(lambda: serving(person) == 2, "what is published is serving", deadline_s=120)
                assert get(port)[1] == b"two"
                assert again.stop() == 0

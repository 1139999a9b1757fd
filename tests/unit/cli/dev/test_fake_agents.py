"""`headgate dev fake-agents`: what it measures at a fake master, and why it does not."""

import json
import re
import subprocess
from collections.abc import Iterator

import pytest
from fake_master_process import HEADGATE, Told, fake_master
from typer.testing import CliRunner

from headgate.cli.program import program
from headgate.master.dev import joining


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with fake_master(tmp_path_factory.mktemp("master")) as told:
        yield told


def _ran(master: Told, *words: str, files: int = 1024) -> "subprocess.CompletedProcess[str]":
    where = [f"--rest={master.rest}", f"--grpc={master.grpc}", f"--pin={master.pin}"]
    shell = ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
    command = [*shell, HEADGATE, "dev", "fake-agents", *where]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False)


def test_each_round_is_a_line_and_in_json_an_object(master: Told) -> None:
    ran = _ran(master, "2", f"--token={master.token}", "--publish=2", "--complete")
    assert (ran.returncode, ran.stderr) == (0, "")
    times = r"p50 \d+\.\d{3} s, p99 \d+\.\d{3} s, last \d+\.\d{3} s"
    rounds = rf"revision \d+: acknowledged {times}; serving {times}\n"
    again = r"connected again \d+\.\d\d s after all connections were lost\n"
    assert re.fullmatch(rf"2 agents connected in \d+\.\d\d s\n({rounds}){{2}}{again}", ran.stdout)
    ran = _ran(master, "1", f"--token={master.token}", "--publish=0", "-o", "json")
    told = json.loads(ran.stdout)
    assert (told["agents"], told["rounds"]) == (1, [])
    assert min(told["connected_s"], told["healed_s"]) > 0


def test_a_refusal_of_the_master_is_said(master: Told) -> None:
    ran = _ran(master, "1", "--token=guessed")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert re.fullmatch(r"headgate: .*401.*unknown.*\n", ran.stderr)


def test_more_agents_than_files_may_be_open_are_refused_before_any_is_enrolled(
    master: Told,
) -> None:
    ran = _ran(master, "1000", "--token=guessed", files=1024)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "1000 connections need 1256 open files, and the limit is 1024" in ran.stderr


def test_agents_that_do_not_get_ready_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(joining, "Rest", late)
    done = CliRunner().invoke(program(), ["dev", "fake-agents", "1", "--token=a", "--pin=b"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "headgate: the agents did not get ready in time\n"

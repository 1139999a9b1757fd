"""The settings that `headgate master` runs with, and which options it refuses."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from scripted_master import left

from headgate.master import process
from headgate.master.backup import places
from headgate.master.settings import Settings, Tls, address
from headgate.node import logs

Command = Callable[..., int]


class Masters:
    """The settings of the masters that ran, and the levels of their logs."""

    def __init__(self) -> None:
        self.ran: list[Settings] = []
        self.levels: list[str] = []

    async def run(self, settings: Settings, version: str) -> None:
        assert version
        self.ran.append(settings)


@pytest.fixture
def masters(monkeypatch: pytest.MonkeyPatch) -> Masters:
    one = Masters()
    monkeypatch.setattr(process, "run", one.run)
    monkeypatch.setattr(logs, "configure", one.levels.append)
    return one


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    for name in ("DATABASE_URL", "HEADGATE_MASTER_LISTEN", "HEADGATE_MASTER_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEADGATE_MASTER_DATA", str(tmp_path))
    return lambda *arguments: left(monkeypatch, "master", *arguments)


def test_a_master_without_options_is_for_this_host_alone(
    tmp_path: Path, masters: Masters, run: Command
) -> None:
    assert run() == 0
    assert masters.ran == [
        Settings(
            tmp_path,
            "",
            address("127.0.0.1:8080"),
            None,
            agents_listen=address("127.0.0.1:8443"),
        )
    ]
    assert masters.levels == ["info"]


def test_a_master_is_what_its_options_and_its_environment_say(
    tmp_path: Path, masters: Masters, run: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADGATE_MASTER_KEY", "k")
    files = (tmp_path / "cert.pem", tmp_path / "key.pem")
    for file in files:
        file.write_text("")
    tls = ("--tls-cert", str(files[0]), "--tls-key", str(files[1]))
    more = ("--agents-listen", "off", "--name", "a", "--name", "b", "--audit-days", "7")
    listen = ("--listen", "0.0.0.0:1", "--metrics-listen", "127.0.0.1:2")
    assert run(*listen, *tls, *more, "--log-level", "warn") == 0
    assert masters.ran == [
        Settings(
            tmp_path,
            "",
            address("0.0.0.0:1"),
            Tls(*files),
            "k",
            None,
            ("a", "b"),
            audit_days=7,
            metrics_listen=address("127.0.0.1:2"),
        )
    ]
    assert masters.levels == ["warn"]
    assert run("--fleet-tls") == 0
    assert (masters.ran[1].has_fleet_tls, masters.ran[1].master_key) == (True, None)


def test_what_cannot_work_is_refused_before_anything_runs(
    masters: Masters, run: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    for half in (("--tls-cert", "c"), ("--tls-key", "k")):
        assert run(*half) == 2
        assert "give both or neither" in capsys.readouterr().err
    assert run("--listen", "nowhere") == 78
    assert capsys.readouterr().err.startswith('headgate: "nowhere" is not an address to listen on')
    assert masters.ran == []


def test_only_what_was_written_before_a_command_is_refused(
    masters: Masters,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def back_up(*_: object) -> SimpleNamespace:
        return SimpleNamespace(counts={"users": 1, "agents": 2, "revisions": 3})

    monkeypatch.setattr(places, "back_up_master", back_up)
    monkeypatch.setenv("HEADGATE_MASTER_LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("HEADGATE_BACKUP_PASSPHRASE", "correct horse battery staple")
    assert run("backup", "monday") == 0
    assert run("--listen", "127.0.0.1:1", "backup", "monday") == 2
    said = capsys.readouterr()
    assert "--listen" in said.err
    assert "write those of `backup`" in said.err
    assert len(said.out.splitlines()) == 1
    assert masters.ran == []

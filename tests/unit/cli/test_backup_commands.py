"""What the commands of backups take, from where they have the passphrase, and what they say."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from scripted_master import left

from headgate.master.backup import places
from headgate.master.backup.places import Subject
from headgate.master.store.errors import StartError

PHRASE = "correct horse battery staple"
END = SimpleNamespace(counts={"users": 1, "agents": 2, "revisions": 3})
Command = Callable[..., int]


class Backups:
    """What was backed up or restored, in place of doing it."""

    def __init__(self) -> None:
        self.done: list[tuple[Subject, Path, bytes, bool | None]] = []
        self.error: StartError | None = None

    async def back_up(self, subject: Subject, file: Path, secret: bytes) -> SimpleNamespace:
        return self._end(subject, file, secret, None)

    async def restore(
        self, subject: Subject, file: Path, secret: bytes, *, is_replacing: bool
    ) -> SimpleNamespace:
        return self._end(subject, file, secret, is_replacing)

    def _end(
        self, subject: Subject, file: Path, secret: bytes, is_replacing: bool | None
    ) -> SimpleNamespace:
        if self.error is not None:
            raise self.error
        self.done.append((subject, file, secret, is_replacing))
        return END


@pytest.fixture
def backups(monkeypatch: pytest.MonkeyPatch) -> Backups:
    one = Backups()
    monkeypatch.setattr(places, "back_up_master", one.back_up)
    monkeypatch.setattr(places, "restore_master", one.restore)
    return one


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    for name in ("HEADGATE_MASTER_KEY", "HEADGATE_BACKUP_PASSPHRASE", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEADGATE_MASTER_DATA", str(tmp_path / "data"))
    return lambda *arguments: left(monkeypatch, "master", *arguments)


def test_a_passphrase_comes_from_a_file_or_from_the_environment(
    tmp_path: Path,
    backups: Backups,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "phrase").write_text(f" {PHRASE} \nmore\n")
    monkeypatch.setenv("HEADGATE_BACKUP_PASSPHRASE", PHRASE * 2)
    monkeypatch.setenv("HEADGATE_MASTER_KEY", "key")
    assert run("backup", "monday", "--passphrase-file", "phrase") == 0
    counted = "1 users, 2 agents, 3 revisions, 0 resources"
    no_key = "no key, which HEADGATE_MASTER_KEY has"
    assert capsys.readouterr().out == f"the backup monday holds {counted}, and {no_key}\n"
    subject, file, secret, _ = backups.done[0]
    assert (file, secret, subject.master_key) == (tmp_path / "monday", PHRASE.encode(), "key")
    assert subject.place.directory == tmp_path / "data"
    monkeypatch.setenv("HEADGATE_BACKUP_PASSPHRASE", PHRASE * 2)
    assert run("restore", "monday") == 0
    assert capsys.readouterr().out == f"the master has {counted}\n"
    assert run("restore", "monday", "--replace", "--passphrase-file", "phrase") == 0
    assert [(one[2], one[3]) for one in backups.done[1:]] == [
        (PHRASE.encode() * 2, False),
        (PHRASE.encode(), True),
    ]


@pytest.mark.parametrize(("verb", "is_new"), [("backup", True), ("restore", False)])
def test_at_a_terminal_it_is_asked_for_and_a_new_one_twice(
    verb: str,
    is_new: bool,
    backups: Backups,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[tuple[bool, bool, bool]] = []

    def prompt(_: str, *, hide_input: bool, confirmation_prompt: bool, err: bool) -> str:
        asked.append((hide_input, confirmation_prompt, err))
        return PHRASE

    monkeypatch.setattr("typer.prompt", prompt)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    assert run(verb, "monday") == 0
    assert asked == [(True, is_new, True)]
    assert backups.done[0][2] == PHRASE.encode()
    if is_new:
        assert capsys.readouterr().out.endswith(", and the master's key\n")


@pytest.mark.parametrize("verb", ["backup", "restore"])
def test_what_cannot_be_done_is_said(
    verb: str,
    backups: Backups,
    run: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert run(verb, "monday") == 1
    assert "there is no passphrase; give --passphrase-file" in capsys.readouterr().err
    assert run(verb, "monday", "--passphrase-file", "none") == 1
    assert "none cannot be read" in capsys.readouterr().err
    assert backups.done == []
    monkeypatch.setenv("HEADGATE_BACKUP_PASSPHRASE", PHRASE)
    backups.error = StartError("the disk is full")
    assert run(verb, "monday") == 1
    assert capsys.readouterr().err == "headgate: the disk is full\n"

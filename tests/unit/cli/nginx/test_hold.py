"""`headgate hold` and `headgate nginx hold`: exit codes and words."""

import getpass
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headgate.cli.program import program
from headgate.engines.nginx.apply.hold import HOLD, read_hold


def run(state: Path, *arguments: str) -> tuple[int, str]:
    """Exit code, and all that was printed."""
    done = CliRunner().invoke(program(), [*arguments, "--state-dir", str(state)])
    return done.exit_code, done.output


@pytest.mark.parametrize("verb", [["hold"], ["nginx", "hold"]])
def test_a_hold_is_made_shown_and_ended(tmp_path: Path, verb: list[str]) -> None:
    assert run(tmp_path, *verb) == (0, "not held\n")
    code, text = run(tmp_path, *verb, "30m", "--reason", "night fix")
    assert code == 0
    said = f"held for 30 min by {getpass.getuser()}: night fix\n"
    assert text == said
    assert read_hold(tmp_path / "nginx") is not None
    assert run(tmp_path, *verb) == (0, said)
    code, text = run(tmp_path, *verb, "--output", "json")
    assert json.loads(text)["reason"] == "night fix"
    assert run(tmp_path, *verb, "--release") == (0, "released\n")
    assert run(tmp_path, *verb, "--release") == (0, "there was no hold\n")
    assert run(tmp_path, *verb, "--release", "-o", "json") == (0, '{"held":false}\n')


@pytest.mark.parametrize(
    "arguments",
    [["30m"], ["soon", "--reason", "x"], ["30m", "--reason", " "], ["0s", "--reason", "x"]],
)
def test_a_hold_takes_a_time_and_a_reason(tmp_path: Path, arguments: list[str]) -> None:
    assert run(tmp_path, "hold", *arguments)[0] == 2
    assert not (tmp_path / "nginx").exists()


def test_a_hold_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / HOLD).write_text("{")
    code, text = run(tmp_path, "hold")
    assert code == 1
    assert "release the hold" in text


def test_a_hold_without_a_user_names_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError(1000)

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert run(tmp_path, "hold", "1s", "--reason", " x ") == (0, "held for 1 s: x\n")


def test_a_hold_that_cannot_be_written_is_a_failure_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "nginx").write_text("")
    code, text = run(tmp_path, "hold", "30m", "--reason", "x")
    assert (code, text) == (1, f"headgate: {tmp_path}/nginx: File exists\n")

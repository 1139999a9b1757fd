"""`headgate hold` and `headgate nginx hold`: exit codes and words."""

import getpass
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headgate.cli.program import program
from headgate.engines.nginx.apply.here import INSTANCE, full_mode, remember
from headgate.engines.nginx.apply.hold import HOLD, read_hold, set_hold


def run(state: Path, *arguments: str) -> tuple[int, str]:
    """Exit code, and all that was printed."""
    done = CliRunner().invoke(program(), [*arguments, "--state-dir", str(state)])
    return done.exit_code, done.output


def driven(state: Path) -> Path:
    """The folder of an nginx that a node has driven."""
    root = state / "nginx"
    root.mkdir()
    remember(root, full_mode(root, "/usr/sbin/nginx", None))
    return root


@pytest.mark.parametrize("verb", [["hold"], ["nginx", "hold"]])
def test_a_hold_is_made_shown_and_ended(tmp_path: Path, verb: list[str]) -> None:
    driven(tmp_path)
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
    (driven(tmp_path) / HOLD).write_text("{")
    code, text = run(tmp_path, "hold")
    assert code == 1
    assert "release the hold" in text
    assert run(tmp_path, "hold", "--release") == (0, "released\n")


@pytest.mark.parametrize("arguments", [[], ["30m", "--reason", "x"], ["--release"]])
def test_a_hold_needs_an_nginx_that_a_node_drives(tmp_path: Path, arguments: list[str]) -> None:
    said = (
        f"headgate: no nginx is driven from {tmp_path}/nginx; name the node with --node or "
        "--state-dir, or try again as the node's user\n"
    )
    assert run(tmp_path, "hold", *arguments) == (1, said)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "nginx").write_text("")
    assert run(tmp_path, "hold", *arguments) == (1, said)


@pytest.mark.parametrize("arguments", [[], ["30m", "--reason", "x"], ["--release"]])
def test_a_state_that_others_may_not_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    set_hold(driven(tmp_path), 60, "mine")
    stat = Path.stat

    def kept(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if path.name == INSTANCE:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, follow_symlinks=follow_symlinks)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "stat", kept)
        said = f"headgate: {tmp_path}/nginx: Permission denied\n"
        assert run(tmp_path, "hold", *arguments) == (1, said)
    assert read_hold(tmp_path / "nginx") is not None


def test_a_hold_may_be_released_whatever_else_is_written(tmp_path: Path) -> None:
    set_hold(driven(tmp_path), 60, "mine")
    assert run(tmp_path, "hold", "soon", "--release") == (0, "released\n")


def test_a_hold_without_a_user_names_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise KeyError(1000)

    driven(tmp_path)
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert run(tmp_path, "hold", "1s", "--reason", " x ") == (0, "held for 1 s: x\n")


def test_a_hold_that_cannot_be_written_is_a_failure_with_its_place(tmp_path: Path) -> None:
    (driven(tmp_path) / HOLD).mkdir()
    said = (1, f"headgate: {tmp_path}/nginx: Is a directory\n")
    assert run(tmp_path, "hold", "30m", "--reason", "x") == said
    assert run(tmp_path, "hold", "--release") == said

"""`headgate hold`, `headgate nginx hold | guard | rollback`: exit codes and words."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from headgate.cli.program import program
from headgate.engines.nginx.apply.here import full_mode, remember
from headgate.engines.nginx.apply.hold import HOLD, read_hold
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.releases.store import Store


def run(state: Path, *arguments: str) -> tuple[int, str]:
    """Exit code, and all that was printed."""
    done = CliRunner().invoke(program(), [*arguments, "--state-dir", str(state)])
    return done.exit_code, done.output


@pytest.mark.parametrize("verb", [["hold"], ["nginx", "hold"]])
def test_a_hold_is_made_shown_and_ended(tmp_path: Path, verb: list[str]) -> None:
    assert run(tmp_path, *verb) == (0, "not held\n")
    code, text = run(tmp_path, *verb, "30m", "--reason", "night fix")
    assert code == 0
    assert "held for 30 min" in text and "night fix" in text
    assert read_hold(tmp_path / "nginx") is not None
    code, text = run(tmp_path, *verb, "--output", "json")
    assert json.loads(text)["reason"] == "night fix"
    assert run(tmp_path, *verb, "--release") == (0, "released\n")
    assert run(tmp_path, *verb, "--release") == (0, "there was no hold\n")


@pytest.mark.parametrize(
    "arguments", [["30m"], ["soon", "--reason", "x"], ["30m", "--reason", " "]]
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


def test_the_guard_says_whether_nginx_may_start(tmp_path: Path) -> None:
    assert run(tmp_path, "nginx", "guard")[0] == 1
    store = Store(tmp_path / "nginx")
    files = (RenderedFile("nginx.conf", b"events {}"),)
    name = store.stage(Rendered(files=files, listeners=()), Generation(1)).name
    store.link("current", name)
    assert run(tmp_path, "nginx", "guard")[0] == 0


def test_a_rollback_needs_an_nginx_and_a_release(tmp_path: Path) -> None:
    code, text = run(tmp_path, "nginx", "rollback")
    assert code == 1 and "no nginx is driven" in text
    root = tmp_path / "nginx"
    root.mkdir()
    remember(root, full_mode(root, "/usr/sbin/nginx", None))
    code, text = run(tmp_path, "nginx", "rollback")
    assert code == 1 and "no release before the current one" in text
    code, text = run(tmp_path, "nginx", "rollback", "17")
    assert code == 1 and "there is no release 17; the releases are: none" in text
    assert read_hold(root) is None, "a rollback that did not happen holds nothing"
    assert run(tmp_path, "nginx", "rollback", "--hold", "soon")[0] == 2

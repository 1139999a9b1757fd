"""`headgate nginx guard`: which folder it looks at, and what it says with its exit code."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from headgate.cli.program import program
from headgate.engines.nginx.apply import guard as engine
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.releases.store import Store


def test_the_folder_is_the_given_one_or_that_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def main(arguments: list[str]) -> int:
        asked.append(arguments)
        return len(asked) - 1

    monkeypatch.setattr(engine, "main", main)
    run = ["nginx", "guard", "--state-dir", str(tmp_path)]
    assert CliRunner().invoke(program(), run).exit_code == 0
    assert CliRunner().invoke(program(), [*run, "--root", "/srv/nginx"]).exit_code == 1
    assert asked == [["--root", str(tmp_path / "nginx")], ["--root", "/srv/nginx"]]


def test_nginx_may_start_with_a_release_only(tmp_path: Path) -> None:
    run = ["nginx", "guard", "--state-dir", str(tmp_path)]
    assert CliRunner().invoke(program(), run).exit_code == 1
    store = Store(tmp_path / "nginx")
    files = (RenderedFile("nginx.conf", b"events {}"),)
    name = store.stage(Rendered(files=files, listeners=()), Generation(1)).name
    store.link("current", name)
    assert CliRunner().invoke(program(), run).exit_code == 0

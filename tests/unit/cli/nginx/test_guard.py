"""`headgate nginx guard`: which folder it looks at."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from headgate.cli.program import program
from headgate.engines.nginx.apply import guard as engine


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

"""A stand-in for what renders a config, for the commands that show or compare what it wrote."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

from typer.testing import CliRunner

from headgate.cli.program import program
from headgate.engines.nginx.common.types import Rendered


class Renderer:
    """It renders as the test says, and keeps what it was asked for."""

    def __init__(self, command: str, state: Path, rendered: Rendered) -> None:
        self.command = command
        self.state = state
        self.rendered = rendered
        self.error: Exception | None = None
        self.asked: list[tuple[object, ...]] = []

    def written(self, configs: Sequence[Path], *asked: object) -> SimpleNamespace:
        """Takes the place of `rendering.written`."""
        self.asked.append((list(configs), *asked))
        if self.error is not None:
            raise self.error
        loaded = SimpleNamespace(secrets=("s3cret",))
        return SimpleNamespace(loaded=loaded, rendered=self.rendered)

    def run(self, *words: str) -> tuple[int, str, str]:
        """Runs the command; returns its exit code and what it printed on both outputs."""
        line = ["nginx", self.command, "a.toml", "--state-dir", str(self.state), *words]
        done = CliRunner().invoke(program(), line)
        return done.exit_code, done.stdout, done.stderr

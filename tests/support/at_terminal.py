"""Somebody who uses the commands that talk to a master."""

import contextlib
import io
import sys
from pathlib import Path
from unittest.mock import patch

from master_process import PASSWORD

from headgate.cli.main import main


class Person:
    """Somebody at a shell, with a home of their own."""

    def __init__(self, home: Path, url: str) -> None:
        self.home = home
        self.url = url

    def run(self, *words: str, stdin: str = "", code: int = 0) -> str:
        """Runs a command, in this process; returns its output, with its errors if it failed."""
        out, err, left = io.StringIO(), io.StringIO(), 0
        with (
            patch.dict("os.environ", {"HEADGATE_CONFIG_HOME": str(self.home)}),
            patch.object(sys, "argv", ["headgate", *words]),
            patch.object(sys, "stdin", io.StringIO(stdin)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                main()
            except SystemExit as end:
                left = int(end.code or 0)
        assert left == code, (words, left, out.getvalue(), err.getvalue())
        return err.getvalue() if code else out.getvalue()

    def log_in(self, password: str = PASSWORD, code: int = 0, ca: Path | None = None) -> str:
        """Logs ann in."""
        trust = () if ca is None else ("--ca", str(ca))
        words = ("login", self.url, "--user", "ann", "--password-stdin", *trust)
        return self.run(*words, stdin=f"{password}\n", code=code)

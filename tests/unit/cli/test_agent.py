"""What `headgate agent` refuses before its node starts."""

from pathlib import Path

import pytest
import typer

from headgate.cli.agent import checked_command


def test_an_upgrade_command_is_a_file_that_may_be_run(tmp_path: Path) -> None:
    command = tmp_path / "install"
    with pytest.raises(typer.BadParameter, match="is not a file that this user may run"):
        checked_command(command)
    command.write_text("#!/bin/sh\n")
    with pytest.raises(typer.BadParameter, match="write the path of an executable file"):
        checked_command(command)
    command.chmod(0o755)
    assert checked_command(command) == command
    assert checked_command(None) is None

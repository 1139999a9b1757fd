"""`headgate nginx`: its verbs."""

import pytest
from typer.testing import CliRunner

from headgate.cli.program import program

VERBS = "adopt diff guard hold import render rollback status upgrade"


@pytest.mark.parametrize("verb", VERBS.split())
def test_every_verb_has_help_with_an_example(verb: str) -> None:
    shown = CliRunner().invoke(program(), ["nginx", verb, "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.output

"""Which commands a command line gets, and which modules it imports for them."""

import subprocess
import sys

import pytest
import typer.main
from typer.core import TyperGroup
from typer.testing import CliRunner

from headgate.cli.program import MODULES, program


def words(*arguments: str) -> list[str]:
    """What may follow `headgate` in the app of a command line."""
    group = typer.main.get_command(program(arguments))
    assert isinstance(group, TyperGroup)
    return list(group.commands)


def test_all_modules_serve_what_the_table_says() -> None:
    for name, served in MODULES.items():
        assert words(served[0]) == list(served), name
    assert sorted(words()) == sorted(word for served in MODULES.values() for word in served)


@pytest.mark.parametrize("first", ["--help", "-h", "no-such-command", ""])
def test_where_the_first_word_is_no_command_all_are_there(first: str) -> None:
    assert words(first) == words()


def test_only_the_first_word_is_a_command() -> None:
    assert words("schema", "run") == words("schema")


def test_a_shell_that_completes_gets_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_HEADGATE_COMPLETE", "complete_bash")
    assert words("run") == words()


def test_the_version_is_an_option_too_and_no_words_at_all_are_a_question_for_help() -> None:
    done = CliRunner().invoke(program(), ["--version"])
    assert (done.exit_code, done.stdout) == (0, CliRunner().invoke(program(), ["version"]).stdout)
    assert done.stdout.startswith("headgate ")
    done = CliRunner().invoke(program(), [])
    assert "one declarative config" in done.output
    assert done.output == CliRunner().invoke(program(), ["--help"]).output


def test_an_error_that_nobody_expected_is_shown_as_python_shows_it() -> None:
    assert not program().pretty_exceptions_enable


def test_a_command_imports_its_own_module_alone() -> None:
    code = (
        "import sys; from headgate.cli.program import program; program(['run']);"
        "print(*[name for name in sys.modules if name.endswith(('_commands', 'cli.calls'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["headgate.cli.node_commands"]


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        # Commands that ask a running node, and print what it says.
        (
            ("manage", "several", "top", "events", "tap", "nginx.status"),
            ("headgate.model", "pydantic", "httpx2"),
        ),
        # Commands that ask a master, and those that read documents for it.
        (
            ("remote.applying", "remote.comparing", "remote.explaining", "remote.rollout_view"),
            ("headgate.master.api", "sqlalchemy", "fastapi", "grpc"),
        ),
        # Where nginx serves, it imports these when it needs them.
        (("run",), ("headgate.engines.nginx.instance", "headgate.nginxtext")),
        (("remote.client", "remote.waiting", "up.running"), ("headgate.model", "pydantic")),
    ],
)
def test_commands_import_nothing_heavy_that_they_do_not_need(
    modules: tuple[str, ...], unwanted: tuple[str, ...]
) -> None:
    code = (
        f"import sys, {', '.join('headgate.cli.' + name for name in modules)};"
        f"print(*[name for name in sys.modules if name in {unwanted!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

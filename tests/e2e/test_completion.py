"""What a real shell makes of `headgate completion`."""

import os
import subprocess
from pathlib import Path

import pytest
from peers import peer
from running_node import HEADGATE

_BASH = """
source <("$0" completion bash)
headgate() { command "$HEADGATE" "$@"; }
COMP_WORDS=(%s) COMP_CWORD=%d
_headgate_completion "$HEADGATE"
printf '%%s\\n' "${COMPREPLY[@]}"
"""


def _offered(tmp_path: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    quoted = " ".join(f"'{word}'" for word in words)
    script = _BASH % (quoted, len(words) - 1)
    environment = os.environ | {"HEADGATE": str(HEADGATE), "HEADGATE_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(
        [peer("bash"), "--norc", "-c", script, HEADGATE],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("headgate", "roll"), ["rollout"]),
        (("headgate", "rollout", "p"), ["pause", "promote"]),
        (("headgate", "get", "rev"), ["revisions"]),
        (("headgate", "apply", "--pre"), ["--preview"]),
        (("headgate", "completion", ""), ["bash", "zsh", "fish"]),
    ],
)
def test_bash_completes_commands_options_and_kinds(
    words: tuple[str, ...], offered: list[str], tmp_path: Path
) -> None:
    assert _offered(tmp_path, *words) == offered


def test_bash_completes_the_contexts_of_the_person(tmp_path: Path) -> None:
    file = tmp_path / "contexts.json"
    file.write_text(
        '{"current": "a", "contexts": {"staging": {"url": "http://127.0.0.1", "access_token": ""}}}'
    )
    file.chmod(0o600)
    assert _offered(tmp_path, "headgate", "agents", "--context", "s") == ["staging"]
    file.write_text("not JSON")
    assert _offered(tmp_path, "headgate", "agents", "--context", "s") == []


@pytest.mark.parametrize(
    ("shell", "line"),
    [("zsh", "#compdef headgate\n"), ("fish", "complete --command headgate ")],
)
def test_other_shells_get_a_script_of_their_own(shell: str, line: str) -> None:
    done = subprocess.run(
        [HEADGATE, "completion", shell], capture_output=True, text=True, check=True
    )
    assert line in done.stdout
    assert "_HEADGATE_COMPLETE=complete_" + shell in done.stdout

"""What `headgate completion` prints for each shell."""

import pytest
from scripted_master import left


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("bash", "complete -o default -F _headgate_completion headgate"),
        ("zsh", "compdef _headgate_completion headgate"),
        ("fish", "complete --command headgate "),
    ],
)
def test_the_script_makes_the_shell_ask_headgate(
    shell: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert left(monkeypatch, "completion", shell) == 0
    script = capsys.readouterr().out
    assert line in script
    assert "_HEADGATE_COMPLETE=" in script
    assert script.endswith("\n")

"""Commands on a config whose file system does not answer: refused by name, in bounded time."""

import subprocess
import sys
from pathlib import Path

import pytest
import stalled_mount
from peers import unavailable
from running_node import HEADGATE
from waiting import DEADLINE_S


@pytest.mark.parametrize("name", ["headgate.toml", ""])
def test_a_config_on_a_stalled_mount_is_refused_by_name(tmp_path: Path, name: str) -> None:
    mount = tmp_path / "mnt"
    mount.mkdir()
    config = str(mount / name)
    (tmp_path / "cases.toml").write_text(
        f'config = ["{config}"]\n[[cases]]\nrequest = "GET http://a/"\nexpect = {{ route = "a" }}\n'
    )
    commands = {
        "run": ["run", config, "--state-dir", str(tmp_path / "state")],
        "check": ["check", config],
        "explain": ["explain", "http://a.example/", "--config", config],
        "test": ["test", str(tmp_path / "cases.toml")],
        "diff": ["diff", config, config],
    }
    prefix = [sys.executable, stalled_mount.__file__, str(mount), str(HEADGATE)]
    started = {
        command: subprocess.Popen(
            [*prefix, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for command, words in commands.items()
    }
    try:
        for command, process in started.items():
            out, said = process.communicate(timeout=2 * DEADLINE_S)
            if process.returncode == stalled_mount.UNAVAILABLE:
                unavailable(f"no FUSE can be mounted here: {said}")
            assert (process.returncode, out) == (1, ""), (command, said)
            assert said.startswith(f"headgate: {Path(config)} does not answer (waited 1"), command
            assert said.endswith("; mend its file system, or name another path\n"), command
    finally:
        for process in started.values():
            process.kill()
            process.wait()

"""What `make` builds again: the extension is as old as the beginning of its build."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from peers import peer
from waiting import DEADLINE_S

MAKEFILE = Path(__file__).parents[3] / "Makefile"
EXTENSION = "src/headgate/_core/_core.abi3.so"
SOURCE = "engine/lib.rs"

CARGO = """#!{python}
# Builds what the source says, and the first time somebody edits the source meanwhile.
import pathlib
source, begun = pathlib.Path("{source}"), pathlib.Path("build/extension.begun")
built = pathlib.Path("target/debug/lib_core.so")
is_first = not built.exists()
built.parent.mkdir(parents=True, exist_ok=True)
built.write_text(source.read_text())
while is_first and source.stat().st_mtime_ns <= begun.stat().st_mtime_ns:
    source.write_text("edited")
"""


def make(folder: Path) -> str:
    """Builds the extension by the rules of our Makefile; what it holds then."""
    ours = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "CARGO_TARGET_DIR"}
    env = {name: value for name, value in os.environ.items() if name not in ours}
    env["PATH"] = f"{folder / 'bin'}:{env['PATH']}"
    command = [str(peer("make")), "-s", EXTENSION]
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / EXTENSION).read_text()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def test_what_is_edited_during_a_build_is_built_next_time_and_once(tmp_path: Path) -> None:
    shutil.copy(MAKEFILE, tmp_path)
    for empty in ("Cargo.toml", "Cargo.lock", "tests/support/a.py", "src/headgate/_core/a.py"):
        write(tmp_path / empty, "")
    write(tmp_path / "tools/preflight", "#!/bin/sh\n")
    write(tmp_path / "bin/cargo", CARGO.format(python=sys.executable, source=SOURCE))
    write(tmp_path / SOURCE, "first")
    assert make(tmp_path) == "first"
    assert (tmp_path / SOURCE).read_text() == "edited"
    assert make(tmp_path) == "edited"
    (tmp_path / "bin/cargo").write_text("#!/bin/sh\nexit 1\n")
    assert make(tmp_path) == "edited", "there was nothing left to build"

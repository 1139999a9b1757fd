"""A copy of headgate with one feature more: its folder, and a line in the registry."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import headgate

PACKAGE: Final = Path(headgate.__path__[0])
SUPPORT: Final = Path(__file__).parent
TOOLS: Final = SUPPORT.parents[1] / "tools"


def copied(to: Path, fixture: Path, where: tuple[str, str]) -> Path:
    """Returns a copy of the package, of links, with the fixture as a feature.

    `where` is the sort of feature, and the line of the registry after which its own is added.
    """
    sort, line = where
    package = to / "headgate"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, package, copy_function=os.symlink, ignore=ignored)
    folder = package / "features" / sort / fixture.name
    folder.mkdir()
    for file in fixture.iterdir():
        (folder / file.name.removesuffix(".txt")).write_bytes(file.read_bytes())
    registry = package / "features" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    assert text.count(line) == 1
    registry.unlink()
    registry.write_text(text.replace(line, f'{line}    "{fixture.name}",\n'))
    return to


def ran(root: Path, *command: str) -> str:
    """Returns what Python prints that imports the copy."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(root), str(SUPPORT), str(TOOLS)))}
    done = subprocess.run([sys.executable, *command], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def list_of(value: object) -> list[object]:
    """Returns a list of JSON."""
    assert isinstance(value, list)
    return value

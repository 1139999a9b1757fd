"""Installs this checkout into the running environment with its sources used in place.

Writes what `pip install --editable` would write (PEP 376, PEP 660 without a build): a path file,
the package's metadata and its commands. The compiled extension is the Makefile's to build.
Standard library only. `--requirements` prints what the package and its tests need instead.
"""

import argparse
import stat
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent

SCRIPT = """\
#!{python}
import sys
from {module} import {function}

if __name__ == "__main__":
    sys.exit({function}())
"""


class Project(NamedTuple):
    """The package as `pyproject.toml` describes it."""

    name: str
    version: str
    requires_python: str
    dependencies: list[str]
    test_dependencies: list[str]
    scripts: dict[str, str]


def read_project() -> Project:
    """Reads `pyproject.toml`. Raises `KeyError` if a field is missing."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return Project(
        table["name"],
        table["version"],
        table["requires-python"],
        table["dependencies"],
        table["optional-dependencies"]["dev"],
        table["scripts"],
    )


def main() -> int:
    """Installs, or prints requirements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requirements", action="store_true")
    project = read_project()
    if parser.parse_args().requirements:
        wanted = project.dependencies + project.test_dependencies
        sys.stdout.write("\n".join(wanted) + "\n")
        return 0
    if sys.prefix == sys.base_prefix:
        sys.stderr.write("develop: run me by the Python of a virtual environment\n")
        return 1
    install(project, Path(sysconfig.get_path("purelib")), Path(sys.prefix) / "bin")
    return 0


def install(project: Project, site: Path, commands: Path) -> None:
    """Writes the files into the two folders; replaces those of an earlier installation."""
    for old in site.glob(f"{project.name}-*.dist-info"):
        for file in old.rglob("*"):
            if file.is_file():
                file.unlink()
        for folder in sorted(old.rglob("*"), reverse=True):
            folder.rmdir()
        old.rmdir()
    info = site / f"{project.name}-{project.version}.dist-info"
    info.mkdir()
    points = [f"{command} = {target}" for command, target in project.scripts.items()]
    texts = {
        site / f"{project.name}.pth": f"{ROOT / 'src'}\n",
        info / "METADATA": metadata(project),
        info / "entry_points.txt": "\n".join(["[console_scripts]", *points]) + "\n",
        info / "INSTALLER": "tools/develop.py\n",
    }
    for path, text in texts.items():
        path.write_text(text)
    scripts = [write_script(commands / name, target) for name, target in project.scripts.items()]
    record = info / "RECORD"
    record.write_text("".join(f"{path},,\n" for path in [*texts, *scripts, record]))


def metadata(project: Project) -> str:
    """Returns core metadata (PEP 566) as far as pip and importlib.metadata need it here."""
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project.name}",
        f"Version: {project.version}",
        f"Requires-Python: {project.requires_python}",
        *(f"Requires-Dist: {dependency}" for dependency in project.dependencies),
    ]
    return "\n".join(lines) + "\n"


def write_script(path: Path, target: str) -> Path:
    """Writes a command that calls `module:function`."""
    module, function = target.split(":")
    path.write_text(SCRIPT.format(python=sys.executable, module=module, function=function))
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


if __name__ == "__main__":
    sys.exit(main())

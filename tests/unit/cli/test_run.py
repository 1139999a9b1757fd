"""What `headgate run` prepares before it becomes the supervisor."""

import importlib.util
import shutil
from pathlib import Path

import headgate
from headgate.cli.run import compile_supervisor

SUPERVISOR = Path(headgate.__path__[0]) / "supervisor"


def _copied(packages: Path) -> Path:
    """A supervisor that nobody has compiled."""
    copy = packages / "headgate" / "supervisor"
    shutil.copytree(SUPERVISOR, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def test_the_supervisor_never_compiles_itself(tmp_path: Path) -> None:
    copy = _copied(tmp_path)
    compile_supervisor(tmp_path)
    sources = list(copy.glob("*.py"))
    assert sources
    missing = [
        one.name for one in sources if not Path(importlib.util.cache_from_source(str(one))).exists()
    ]
    assert not missing


def test_where_bytecode_cannot_be_written_the_node_starts_all_the_same(tmp_path: Path) -> None:
    copy = _copied(tmp_path)
    (copy / "__pycache__").write_text("in the way")
    compile_supervisor(tmp_path)
    assert (copy / "__pycache__").is_file()

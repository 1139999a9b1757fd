"""What a process that stays imports, and what it does without."""

import gc
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from headgate.kernel.imports import program

_STAYING = {"control": "headgate.node.start", "master": "headgate.master.process"}


@pytest.fixture(autouse=True)
def _not_frozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def _imported(module: str) -> set[str]:
    """The packages that a process has which imports a module as those that stay do."""
    code = (
        "import json, sys\n"
        "from headgate.kernel.imports import program\n"
        "with program():\n"
        f"    import {module}\n"
        "print(json.dumps([name for name in sys.modules if '.' not in name]))\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(ran.stdout))


@pytest.mark.parametrize("process", _STAYING)
def test_no_process_that_stays_has_what_draws_on_terminals(process: str) -> None:
    assert _imported(_STAYING[process]).isdisjoint({"rich", "pygments", "attr"})


def test_a_control_process_has_nothing_of_a_master() -> None:
    masters = {"fastapi", "sqlalchemy", "alembic", "mako", "asyncpg", "aiosqlite", "typer"}
    assert _imported("headgate.node.start").isdisjoint(masters)


@pytest.mark.parametrize("name", ["rich", "pygments"])
def test_what_is_hidden_is_found_again_afterwards(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(ModuleNotFoundError), program():
        importlib.import_module(name)
    assert importlib.import_module(name).__name__ == name


def test_what_is_there_already_stays() -> None:
    rich = importlib.import_module("rich")
    with program():
        assert importlib.import_module("rich") is rich
    assert sys.modules["rich"] is rich


def test_the_collector_rests_and_leaves_alone_what_was_made() -> None:
    def looks() -> list[int]:
        return [one["collections"] for one in gc.get_stats()]

    with program():
        assert not gc.isenabled()
        assert gc.get_freeze_count() == 0
        made = [[one] for one in range(2 * gc.get_threshold()[0])]
        before = looks()
    after = looks()
    assert gc.isenabled()
    assert gc.get_freeze_count() > len(made)
    assert after == before

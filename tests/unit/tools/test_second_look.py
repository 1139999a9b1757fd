"""Tests of tools/second_look.py with runs of pytest of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[3] / "tools/second_look.py"

#: Each test adds a line to a file when it runs; the given ones fail at their given turns.
TESTS = """
from pathlib import Path

import pytest

FAILS = {fails}


@pytest.mark.parametrize("number", range(5))
def test_one(number):
    turns = Path(f"turns-{{number}}")
    turn = len(turns.read_text()) + 1 if turns.exists() else 1
    turns.write_text("x" * turn)
    assert turn not in FAILS.get(number, ())
"""


@pytest.mark.parametrize(
    ("fails", "code", "turns"),
    [
        ({3: [1]}, 0, [1, 1, 1, 4, 1]),
        ({3: [1, 2, 3, 4]}, 1, [1, 1, 1, 2, 1]),
        ({3: [1, 4]}, 1, [1, 1, 1, 4, 1]),
        ({0: [1], 1: [1], 2: [1], 3: [1]}, 1, [1, 1, 1, 1, 1]),
    ],
)
def test_what_fails_once_is_looked_at_three_times_more(
    tmp_path: Path, fails: dict[int, list[int]], code: int, turns: list[int]
) -> None:
    (tmp_path / "test_it.py").write_text(TESTS.format(fails=fails))
    # Plugins would be most of what a turn takes.
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    first = subprocess.run(
        [sys.executable, "-m", "pytest"], cwd=tmp_path, env=environment, check=False
    )
    assert first.returncode == 1
    done = subprocess.run(
        [sys.executable, TOOL],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout
    assert [len((tmp_path / f"turns-{number}").read_text()) for number in range(5)] == turns
    flaky = [line for line in done.stdout.splitlines() if line.startswith("flaky: ")]
    assert len(flaky) == (len(fails) if code == 0 else 0)


def test_what_pytest_does_not_find_by_its_id_is_looked_at_with_its_whole_function(
    tmp_path: Path,
) -> None:
    (tmp_path / "test_it.py").write_text(TESTS.format(fails={}))
    kept = tmp_path / ".pytest_cache/v/cache/lastfailed"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"test_it.py::test_one[GET /audit]": true}')
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run([sys.executable, TOOL], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0
    assert [len((tmp_path / f"turns-{number}").read_text()) for number in range(5)] == [3] * 5


def test_two_tests_of_one_id_are_refused(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((TOOL.parents[1] / "tests/conftest.py").read_text())
    (tmp_path / "test_it.py").write_text("def test_one(): pass")
    support = str(TOOL.parents[1] / "tests/support")
    # Options of the run that this test is a part of may name plugins from elsewhere.
    environment = os.environ | {"PYTHONPATH": support, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--keep-duplicates", "test_it.py", "test_it.py"],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 4, done.stdout
    assert "two tests have the id test_it.py::test_one" in done.stderr

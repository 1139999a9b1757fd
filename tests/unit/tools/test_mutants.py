"""Which faults `make mutants` makes, and what it says of a draw."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from mutants.__main__ import areas, drawn
from mutants.mutation import Mutant, altered, mutants_of
from mutants.python import Overlay, Overlays, concerned
from mutants.verdict import Fate, Judged, NoVerdictError, complaints, gone, listed

ROOT = Path(__file__).resolve().parents[3]

SOURCE = """\
LIMIT = 0


def grown(numbers: list[int], step: int = 1) -> int:
    \"\"\"The sum, or 0.\"\"\"
    if not numbers:
        return 0
    log.info("summing", count=len(numbers) + 1)
    total = 0
    for number in numbers:
        if number > LIMIT and number < 10:
            total += number + step
    return total
"""
TESTS = """\
from headgate.sums import grown


def test_the_numbers_are_summed() -> None:
    assert grown([1, 2]) == 5
    assert grown([]) == 0
    assert grown([0]) == 0
"""


def named(source: str, mutation: str) -> Mutant:
    (found,) = [m for m in mutants_of("src/headgate/sums.py", source) if m.mutation == mutation]
    return found


def test_each_fault_of_a_function_is_made_once() -> None:
    assert [mutant.mutation for mutant in mutants_of("a.py", SOURCE)] == [
        "replace `not numbers` with `(numbers)`",
        "replace `0` with `1`",
        "replace `0` with `1` #2",
        "replace `number > LIMIT and number < 10` with `(number > LIMIT or number < 10)`",
        "replace `number > LIMIT` with `(number >= LIMIT)`",
        "replace `number < 10` with `(number <= 10)`",
        "replace `total += number + step` with `total -= number + step`",
        "replace `number + step` with `(number - step)`",
        "replace `return total` with `return None`",
    ]


@pytest.mark.parametrize(
    ("statement", "faults"),
    [
        ("self.a.abandon()", ["pass"]),
        ("self.a = 7", ["pass"]),
        ("raise ValueError", ["pass"]),
        ("del self.a", ["pass"]),
        ("x = y if self.a else z", ["(not (self.a))"]),
        ("x = [y for y in z if y.a]", ["(not (y.a))"]),
        ("x = f'{self.a + 1}'", []),
        ("x = a is not None", ["(a is None)"]),
        ("x: list[int] = a or b", ["(a and b)"]),
        ("x = True", ["False"]),
        ("return ''", ['return "mutant"']),
        ("return False", ["True"]),
        ("return None", []),
        ("return a", ["return None"]),
        ("_log.error('x', a=not b)", []),
        ("assert a == b", []),
    ],
)
def test_faults_of_one_statement(statement: str, faults: list[str]) -> None:
    found = mutants_of("a.py", f"def f(self):\n    {statement}\n")
    assert [mutant.text for mutant in found] == faults


def test_every_mutant_of_this_project_is_python_and_has_a_name_of_its_own() -> None:
    keys: set[tuple[str, str, str]] = set()
    for area in areas():
        for path in (path for one in area.files for path in ROOT.glob(one) if not area.packages):
            source = path.read_text()
            for mutant in mutants_of(str(path.relative_to(ROOT)), source):
                text = altered(source, mutant)
                ast.parse(text)
                assert text != source
                assert mutant.key not in keys
                keys.add(mutant.key)
    assert keys


def test_what_a_fault_is_named_does_not_hang_on_the_lines_above() -> None:
    before = [mutant.key for mutant in mutants_of("a.py", SOURCE)]
    assert [mutant.key for mutant in mutants_of("a.py", "# é\n\n" + SOURCE)] == before


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one module and one test of it."""
    (tmp_path / "src" / "headgate").mkdir(parents=True)
    (tmp_path / "src" / "headgate" / "__init__.py").write_text("")
    (tmp_path / "src" / "headgate" / "sums.py").write_text(f"import logging as log\n{SOURCE}")
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    (tmp_path / "tests" / "unit" / "test_sums.py").write_text(TESTS)
    (tmp_path / "tests" / "unit" / "test_other.py").write_text("def test_nothing(): pass\n")
    return tmp_path


def test_a_fault_that_a_test_notices_is_killed_and_another_survives(project: Path) -> None:
    file = "src/headgate/sums.py"
    source = (project / file).read_text()
    tests = concerned(project, file, [])
    assert tests == ["tests/unit/test_sums.py"]
    overlay = Overlay(project, project / "build")
    noticed = named(source, "replace `number > LIMIT` with `(number >= LIMIT)`")
    unnoticed = named(source, "replace `number < 10` with `(number <= 10)`")
    assert overlay.judge(noticed, tests) is Fate.KILLED
    assert overlay.judge(unnoticed, tests) is Fate.SURVIVED
    assert overlay.judge(noticed, tests) is Fate.KILLED, "also after another was put in its place"
    assert (project / file).read_text() == source


def test_the_test_that_mirrors_a_file_is_the_first_to_run(project: Path) -> None:
    naming = "from headgate.sums import Sums\n"
    (project / "tests" / "unit" / "test_about_sums.py").write_text(naming)
    tests = concerned(project, "src/headgate/sums.py", ["tests/unit", "tests/unit/test_sums.py"])
    mirror = "tests/unit/test_sums.py"
    assert tests == [mirror, "tests/unit/test_about_sums.py", "tests/unit"]
    (project / "tests" / "unit" / "test_all.py").write_text("from headgate import other, sums\n")
    assert concerned(project, "src/headgate/sums.py", [])[1:] == [
        "tests/unit/test_about_sums.py",
        "tests/unit/test_all.py",
    ]
    (project / mirror).write_text("def test_by_the_command_line(): pass\n")
    assert concerned(project, "src/headgate/sums.py", [])[0] == mirror


def test_a_fault_that_makes_the_tests_hang_is_noticed(project: Path) -> None:
    source = "def ended(is_over):\n    while not is_over:\n        pass\n"
    (project / "src/headgate/sums.py").write_text(source)
    test = "from headgate.sums import ended\n\n\ndef test_it_ends():\n    ended(True)\n"
    (project / "tests/unit/test_sums.py").write_text(test)
    overlay = Overlay(project, project / "build")
    (endless,) = mutants_of("src/headgate/sums.py", source)
    assert overlay.judge(endless, ["tests/unit/test_sums.py"], 15.0) is Fate.TIMED_OUT


def test_a_fault_of_the_extension_is_switched_on_by_the_environment(project: Path) -> None:
    reads = "import os\n\n\ndef test_it():\n    assert os.environ.get('MUTANT') != '7'\n"
    (project / "tests/unit/test_switch.py").write_text(reads)
    tests = ["tests/unit/test_other.py", "tests/unit/test_switch.py"]
    with Overlays(project, 1) as overlays, overlays.one() as overlay:
        assert overlay.judge_switched({"MUTANT": "7"}, tests) is Fate.KILLED
        assert overlay.judge_switched({"MUTANT": "8"}, tests) is Fate.SURVIVED
        with pytest.raises(NoVerdictError, match="finds no test"):
            overlay.judge_switched({"MUTANT": "8"}, ["tests/unit/test_gone.py"])


def test_an_overlay_has_the_extension_that_was_built_for_it(project: Path) -> None:
    (project / "src/headgate/_core.so").write_text("real")
    (project / "other.so").write_text("with faults")
    for built, content in [(None, "real"), (project / "other.so", "with faults")]:
        Overlay(project, project / f"build-{content}", built)
        assert (project / f"build-{content}/src/headgate/_core.so").read_text() == content


def test_tests_that_fail_anyway_and_tests_that_are_missing_give_no_verdict(project: Path) -> None:
    mutant = mutants_of("src/headgate/sums.py", SOURCE)[0]
    (project / "tests/unit/test_sums.py").write_text("def test_it() -> None:\n    assert False\n")
    overlay = Overlay(project, project / "build")
    with pytest.raises(NoVerdictError, match="killed without a mutant"):
        overlay.judge(mutant, ["tests/unit/test_sums.py"])
    with pytest.raises(NoVerdictError, match="finds no test"):
        overlay.judge(mutant, ["tests/unit/test_gone.py"])


def test_a_survivor_must_be_listed_and_a_listed_one_must_survive_and_exist() -> None:
    one, two = Mutant("a.py", "f", "this"), Mutant("a.py", "f", "that")
    assert complaints([Judged("x", one, Fate.SURVIVED)], {one.key: "equal"}) == []
    (new,) = complaints([Judged("x", one, Fate.SURVIVED)], {two.key: "equal"})
    assert new == "survived: a.py: f: this; write the test that notices it"
    (noticed,) = complaints([Judged("x", one, Fate.KILLED)], {one.key: "equal"})
    assert noticed.endswith("remove the entry")
    assert gone([one.key], [one, two]) == []
    assert gone([one.key], [two]) == [
        "listed, but this mutant does not exist: a.py: f: this; remove the entry"
    ]


def test_an_entry_needs_a_reason_and_stands_once(tmp_path: Path) -> None:
    path = tmp_path / "survivors.toml"
    entry = '[[survivor]]\nfile = "a.py"\nfunction = "f"\nmutation = "m"\nreason = "{}"\n'
    path.write_text(entry.format("equal"))
    assert listed(path) == {("a.py", "f", "m"): "equal"}
    path.write_text(entry.format(" "))
    with pytest.raises(ValueError, match="has no reason"):
        listed(path)
    path.write_text(2 * entry.format("equal"))
    with pytest.raises(ValueError, match="listed twice"):
        listed(path)


def test_a_draw_takes_equal_shares_and_is_the_same_for_the_same_seed() -> None:
    found = {
        area: [Mutant(area, "f", str(number)) for number in range(size)]
        for area, size in (("small", 2), ("big", 50), ("huge", 500))
    }
    draw = drawn(found, 20, "7")
    assert {area: len(set(mutants)) for area, mutants in draw.items()} == {
        "small": 2,
        "big": 9,
        "huge": 9,
    }
    assert drawn(found, 20, "7") == draw != drawn(found, 20, "8")
    assert sum(map(len, drawn(found, 10_000, "7").values())) == 552


def test_the_files_and_concerned_every_area_are_there() -> None:
    for area in areas():
        files = [path for one in area.files for path in ROOT.glob(one)]
        assert files
        assert area.only(area.proven).files == area.proven, "files of this area"
        stems = {path.stem for path in files}
        assert {stem for one in area.further for stem in one["files"]} <= stems
        tests = [*area.tests, *(test for one in area.further for test in one["tests"])]
        assert [test for test in tests if not (ROOT / test).exists()] == []


def test_a_file_that_is_proven_has_unit_tests_of_its_own() -> None:
    """A draw from it runs these alone, so that it costs seconds."""
    proven = {file: area for area in areas() if not area.packages for file in area.proven}
    assert len({area.name for area in proven.values()}) == 3
    assert [file for file, area in proven.items() if not area.tests_of(file, is_near=True)] == []


@pytest.mark.timeout(1800)  # Each of them may hang until its limit, which is four minutes.
def test_a_draw_of_todays_commit_has_no_survivor_that_is_not_listed() -> None:
    """Of files that were tried as a whole; `make mutants` draws from every one."""
    command = [sys.executable, "-m", "mutants", "--proven", "--count", "6", "--jobs", "1"]
    done = subprocess.run(command, cwd=ROOT / "tools", capture_output=True, text=True, check=False)
    assert "all: 6 drawn" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout

"""How faults of Rust are put behind switches, so that one build has all of them."""

import pytest
from mutants.rust import blamed
from mutants.together import Fault, Switched, switched
from mutants.verdict import Fate

SOURCE = """\
impl Pair {
    /// Is `fn grown` of both { sides }.
    #[inline]
    pub fn grown(&self, Step { by }: Step) -> u32 {
        // é
        self.left + by
    }

    const fn left(&self) -> u32 { self.left }
    fn both(&self) -> impl Iterator<Item = u32> { once(self.left) }
    fn turn(&mut self) { self.left = 0; }
}
"""


def fault(function: str, old: str, text: str) -> Fault:
    """A fault in the function whose last line is the first with a text."""
    lines = SOURCE.splitlines()
    (nth,) = [number for number, line in enumerate(lines, 1) if old in line]
    column = lines[nth - 1].index(old) + 1
    within = ((2, 5), (7, 6)) if function == "grown" else ((nth, 5), (nth, len(lines[nth - 1]) + 1))
    part = ((nth, column), (nth, column + len(old)))
    return Fault(f"{function} {text}", "pair.rs", f"Pair::{function}", within, part, text)


def test_a_function_is_written_once_more_for_each_of_its_faults() -> None:
    faults = {3: fault("grown", "+ by", "- by"), 8: fault("grown", "self.left + by", "0")}
    made = switched(SOURCE, faults)
    assert made.source == SOURCE.replace(
        "{\n        // é\n        self.left + by\n    }",
        "{ if crate::mutant::is(3) {\n        // é\n        self.left - by\n    }\n"
        "else  if crate::mutant::is(8) {\n        // é\n        0\n    }\n"
        "else {\n        // é\n        self.left + by\n    }}",
    )
    assert [list(lines) for lines in made.faults.values()] == [[4, 5, 6, 7], [8, 9, 10, 11]]
    assert list(made.functions[8]) == list(range(4, 16))


def test_faults_of_several_functions_and_none_at_all() -> None:
    one, other = fault("turn", "self.left = 0;", "()"), fault("grown", "+ by", "* by")
    made = switched(SOURCE, {1: one, 2: other})
    assert "fn turn(&mut self) { if crate::mutant::is(1) { () }" in made.source
    assert sorted(made.faults) == [1, 2]
    assert switched(SOURCE, {}).source == SOURCE


def test_a_constant_function_and_one_with_a_hidden_type_are_left_as_they_are() -> None:
    constant = fault("left", "{ self.left }", "{ 0 }")
    made = switched(SOURCE, {1: constant, 2: fault("both", "once(self.left)", "empty()")})
    assert (made.source, made.faults) == (SOURCE, {})


def test_a_function_inside_another_that_has_a_fault_is_left_as_it_is() -> None:
    source = "fn a() { fn b() { c() } b(); }\n"
    outer = Fault("outer", "a.rs", "a", ((1, 1), (1, 31)), ((1, 25), (1, 29)), "")
    inner = Fault("inner", "a.rs", "b", ((1, 10), (1, 24)), ((1, 19), (1, 22)), "()")
    assert sorted(switched(source, {1: outer, 2: inner}).faults) == [1]


@pytest.mark.parametrize(
    ("line", "fates"), [(3, {}), (5, {1: Fate.UNBUILT}), (9, {1: None, 2: None}), (11, {})]
)
def test_an_error_is_about_the_fault_that_it_is_in_or_about_all_of_its_function(
    line: int, fates: dict[int, Fate | None]
) -> None:
    made = Switched("", {1: range(4, 6), 2: range(6, 8)}, dict.fromkeys((1, 2), range(4, 11)))
    spans = [
        {"file_name": "b/../a.rs", "is_primary": True, "line_start": line},
        {"file_name": "a.rs", "is_primary": False, "line_start": 6},
        {"file_name": "b.rs", "is_primary": True, "line_start": 6},
    ]
    assert blamed({"a.rs": made}, {"spans": spans}) == fates

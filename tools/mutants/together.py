"""Puts many faults into one source, each behind a switch, so that they are built once. Pure.

The body of a function is written once more for each of its faults: `if is(7) { with the fault }
else { as it is }`. The number of the fault is in the environment of the tests.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

SWITCH: Final = "MUTANT"
"""The environment variable with the number of the fault; without it there is none."""
RECORD: Final = "MUTANTS_REACHED"
"""The environment variable with the file into which a test writes the faults that it reaches."""
MODULE: Final = """
pub(crate) mod mutant {
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::io::Write;
    use std::sync::{Mutex, OnceLock, PoisonError};
    static NUMBER: OnceLock<usize> = OnceLock::new();
    static REACHED: OnceLock<Option<Mutex<(File, BTreeSet<usize>)>>> = OnceLock::new();
    pub(crate) fn is(number: usize) -> bool {
        let open = || {
            let file = File::create(std::env::var_os("RECORD")?).ok()?;
            Some(Mutex::new((file, BTreeSet::new())))
        };
        if let Some(reached) = REACHED.get_or_init(open) {
            let mut reached = reached.lock().unwrap_or_else(PoisonError::into_inner);
            if reached.1.insert(number) {
                let _ = writeln!(reached.0, "{number}");
            }
        }
        let read = || std::env::var("SWITCH").ok()?.parse().ok();
        *NUMBER.get_or_init(|| read().unwrap_or(0)) == number
    }
}
""".replace("RECORD", RECORD).replace("SWITCH", SWITCH)
"""Added to the root of the crate."""

Place = tuple[int, int]
"""A line and a column, both from 1."""


@dataclass(frozen=True)
class Fault:
    """Text that replaces a part of a function; the name is that of cargo-mutants."""

    name: str
    file: str
    function: str
    within: tuple[Place, Place]
    part: tuple[Place, Place]
    text: str


@dataclass(frozen=True)
class Switched:
    """A source with faults: the lines of each, and the lines of the functions that have them."""

    source: str
    faults: dict[int, range]
    functions: dict[int, range]


def _offset(source: str, place: Place) -> int:
    """Returns where a line and column are in a text."""
    line, column = place
    return sum(map(len, source.splitlines(keepends=True)[: line - 1])) + column - 1


def _opening(source: str, start: int, end: int, function: str) -> int | None:
    """Returns where the body of a function begins; None if the body cannot be switched."""
    name = re.escape(function.rsplit("::", 1)[-1])
    whole = source[start:end]
    head = re.search(rf"^[^/#\n]*\bfn {name}\b", whole, re.MULTILINE)
    if head is None or re.search(r"\bconst\b", head.group()):
        return None
    depth = 0
    for at in range(head.end(), len(whole)):
        depth += {"(": 1, ")": -1}.get(whole[at], 0)
        if whole[at] == "{" and depth == 0:
            is_hidden = re.search(r"->[^{]*\bimpl\b", whole[head.end() : at])
            return None if is_hidden else start + at + 1
    return None


def switched(source: str, faults: dict[int, Fault]) -> Switched:
    """Returns a source with all faults that can be switched; the others have no lines in it."""
    within: defaultdict[tuple[int, int, str], list[int]] = defaultdict(list)
    for number, fault in faults.items():
        start, end = (_offset(source, place) for place in fault.within)
        within[start, end, fault.function].append(number)
    text, last = "", 0
    made = Switched("", {}, {})
    for (start, end, function), numbers in sorted(within.items()):
        opening = _opening(source, start, end, function)
        if opening is None or start < last:
            continue
        text += source[last:opening]
        first = text.count("\n") + 1
        for number in numbers:
            begin, until = (_offset(source, place) for place in faults[number].part)
            body = source[opening:begin] + faults[number].text + source[until : end - 1]
            line = text.count("\n") + 1
            text += f" if crate::mutant::is({number}) {{{body}}}\nelse "
            made.faults[number] = range(line, text.count("\n") + 1)
        text += f"{{{source[opening : end - 1]}}}}}"
        last = end
        made.functions.update(dict.fromkeys(numbers, range(first, text.count("\n") + 2)))
    return Switched(text + source[last:], made.faults, made.functions)

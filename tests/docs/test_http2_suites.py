"""The page of the public suites for HTTP/2 shows its cases, and names tests that exist."""

import re
from pathlib import Path

from http2_attack_list import ATTACKS
from http2_suites import SUITES
from http2_suites.case import Elsewhere
from http2_suites.page import MARK, PAGE, tables

ROOT = Path(__file__).parents[2]


def test_the_tables_are_those_of_the_cases() -> None:
    assert PAGE.read_text().partition(MARK)[2] == tables(), "run tests/support/http2_suites/page.py"


def test_every_case_has_a_name_of_its_own() -> None:
    names = [f"{suite.title}-{case.name}" for suite in SUITES for case in suite.cases]
    assert len(names) == len(set(names))


def test_each_test_that_is_named_exists() -> None:
    sources = "\n".join(one.read_text() for one in (ROOT / "engine/crates").rglob("*.rs"))
    there = set(re.findall(r"#\[test\]\s+fn (\w+)\(\)", sources))
    there |= {f"{suite.title}-{case.name}" for suite in SUITES for case in suite.cases}
    there |= {attack.name for attack in ATTACKS}
    named = {
        name
        for suite in SUITES
        for case in suite.cases
        if isinstance(case, Elsewhere)
        for name in case.tests
    }
    assert named - there == set()

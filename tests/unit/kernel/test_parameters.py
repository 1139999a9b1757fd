"""Expressions that find parameters of a query, however they are spelled."""

import re
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from headgate.kernel.parameters import expressions, spelled

NAMES = st.text("abcxyzABCXYZ0189._-", min_size=1, max_size=64)


@given(NAMES, st.data())
def test_each_character_may_be_an_escape(name: str, data: st.DataObject) -> None:
    sent = "".join(
        data.draw(st.sampled_from([c, c.swapcase(), f"%{ord(c):02x}", f"%{ord(c.swapcase()):02X}"]))
        for c in name
    )
    assert re.fullmatch(f"(?i){spelled(name)}", sent)


@given(NAMES, NAMES)
def test_nothing_else_is_found(name: str, other: str) -> None:
    found = re.fullmatch(f"(?i){spelled(name)}", quote(other)) is not None
    assert found == (name.lower() == other.lower())


@given(st.sets(NAMES.map(str.lower), max_size=64))
def test_every_name_is_in_an_expression_that_nginx_can_read(names: set[str]) -> None:
    found = expressions(names)
    assert all(len(one) < 3000 for one in found)
    assert all(any(re.fullmatch(one, name) for one in found) for name in names)

"""Tables and YAML."""

import pytest
import yaml as reference  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from headgate.cli.remote.output import table, yaml

_TEXTS = st.text(
    st.characters(
        exclude_categories=["Cs", "Cc"],
        max_codepoint=0xFFFD,
        exclude_characters="\u2028\u2029\ufeff",
    )
)
_NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_KEYS = st.text("abyn-: #.", max_size=6)
_VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_yaml_says_the_same_to_a_reader_of_yaml(value: object) -> None:
    assert reference.safe_load(yaml(value)) == value


def test_a_table_has_a_line_for_each_item() -> None:
    items = [
        {"name": "a", "labels": {"tier": "canary"}, "is_on": True},
        {"name": "longer", "labels": {}, "is_on": False},
    ]
    assert table(items, ("name", "labels", "is_on")) == (
        "NAME     LABELS        IS ON\na        tier=canary   yes\nlonger   -             no\n"
    )


@pytest.mark.parametrize("text", ["\x1b[2J", "a\nb", "\r"])
def test_a_table_carries_no_control_characters(text: str) -> None:
    assert "?" in table([{"name": text}], ("name",))
    assert text not in table([{"name": text}], ("name",))

"""Tables and YAML."""

import pytest
import yaml as reference  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from headgate.cli.remote.output import Shape, show_list, show_object, table, yaml

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


def test_a_list_is_a_table_of_its_columns_or_whole(capsys: pytest.CaptureFixture[str]) -> None:
    items = [{"name": "a", "id": 1}]
    show_list(items, ("name",), Shape.TABLE)
    assert capsys.readouterr().out == "NAME\na\n"
    show_list(items, ("name",), Shape.YAML)
    assert capsys.readouterr().out == "- name: a\n  id: 1\n"
    show_list(items, ("name",), Shape.JSON)
    assert capsys.readouterr().out == '[\n  {\n    "name": "a",\n    "id": 1\n  }\n]\n'


def test_an_object_is_shown_to_people_without_its_etag(capsys: pytest.CaptureFixture[str]) -> None:
    item = {"name": "a", "etag": '"3"'}
    show_object(item, Shape.TABLE)
    assert capsys.readouterr().out == "name: a\n"
    show_object(item, Shape.YAML)
    assert capsys.readouterr().out == 'name: a\netag: "\\"3\\""\n'
    show_object(item, Shape.JSON)
    assert capsys.readouterr().out == '{\n  "name": "a",\n  "etag": "\\"3\\""\n}\n'


def test_a_column_may_be_a_field_of_a_field_and_what_is_not_there_is_a_dash() -> None:
    items: list[dict[str, object]] = [
        {"facts": {"program": "1.5.0"}, "labels": ["x", {"a": None}], "n": 0},
        {"facts": None, "labels": [], "n": ""},
        {"facts": {}, "labels": {}, "n": False},
    ]
    assert table(items, ("facts.program", "labels", "n")) == (
        "PROGRAM   LABELS   N\n1.5.0     x,a=-    0\n-         -        -\n-         -        no\n"
    )


def test_texts_are_quoted_where_yaml_would_read_something_else() -> None:
    texts = ["a", "_", "/", "a b.c", "a:", "-a", "1", "on", "No", ""]
    assert yaml(texts) == '- a\n- _\n- /\n- a b.c\n- "a:"\n- "-a"\n- "1"\n- "on"\n- "No"\n- ""\n'


def test_what_is_shown_whole_has_escapes_for_what_a_terminal_would_obey(
    capsys: pytest.CaptureFixture[str],
) -> None:
    item = {"a\x9b": "\x1b\x7f\x9bé"}
    for shape, shown in ((Shape.YAML, "{}: {}\n"), (Shape.JSON, "{{\n  {}: {}\n}}\n")):
        show_object(item, shape)
        key, value = '"a\\u009b"', '"\\u001b\\u007f\\u009bé"'
        assert capsys.readouterr().out == shown.format(key, value)


def test_lists_stand_below_their_key_and_objects_further_in() -> None:
    value = {"a": {"b": [1, {"c": 2, "d": [3]}], "e": {}}, "f": [], "g": None, "h": [[1, 2], 3]}
    assert yaml(value) == (
        "a:\n  b:\n  - 1\n  - c: 2\n    d:\n    - 3\n  e: {}\nf: []\ng: null\n"
        "h:\n- - 1\n  - 2\n- 3\n"
    )


def test_numbers_with_an_exponent_have_a_point() -> None:
    assert yaml([1e300, 1.5e300, 0.5, 2.0]) == "- 1.0e+300\n- 1.5e+300\n- 0.5\n- 2.0\n"


@given(_VALUES)
def test_yaml_says_the_same_to_a_reader_of_yaml(value: object) -> None:
    assert reference.safe_load(yaml(value)) == value

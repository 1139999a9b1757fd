"""The filters of lists: times, labels and prefixes in SQL, and the cursors bound to them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError
from sqlalchemy import Column, MetaData, String, Table, create_engine, insert, select

from headgate.master.api.filters import HasLabels, Instant, begins, between, chosen, labelled
from headgate.master.api.problems import ProblemError
from headgate.master.api.types import Window
from headgate.master.domains.drafts.contents import chooses
from headgate.master.ids import new_id

ROWS = Table("rows", MetaData(), Column("text", String))
NAMES = st.sampled_from(["a", "b", "a.b", "b/a", "ab"])
VALUES = st.sampled_from(["", "a", "A", "_", "b-1", "ab"])
LABELS = st.dictionaries(NAMES, VALUES, max_size=4)


class Filtered(Window):
    """A list with filters."""

    since: Instant | None = None
    label: HasLabels = Field(default=[])


def kept(texts: list[str], *where: object) -> list[str]:
    """Which of these rows a database finds."""
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        ROWS.create(connection)
        connection.execute(insert(ROWS), [{"text": one} for one in texts])
        found = connection.execute(select(ROWS.c.text).where(*where))  # type: ignore[arg-type]
        return sorted(str(one) for (one,) in found)


@given(st.lists(LABELS, min_size=1, max_size=4), LABELS)
def test_labels_in_sql_choose_what_labels_choose_elsewhere(
    rows: list[dict[str, str]], labels: dict[str, str]
) -> None:
    texts = [json.dumps(one, sort_keys=True) for one in rows]
    going = [text for text in texts if chooses(json.loads(text), labels)]
    assert kept(texts, chosen(ROWS.c.text, labels)) == sorted(going)
    having = [text for text in texts if chooses(labels, json.loads(text))]
    wanted = [f"{name}={value}" for name, value in labels.items()]
    assert kept(texts, *labelled(ROWS.c.text, wanted)) == sorted(having)


def test_a_prefix_is_no_pattern_and_tells_upper_case_from_lower_case() -> None:
    texts = ["shop", "shop-2", "Shop", "s%op", "ship"]
    assert kept(texts, *begins(ROWS.c.text, "sh")) == ["ship", "shop", "shop-2"]
    assert kept(texts, *begins(ROWS.c.text, "s%")) == ["s%op"]
    assert kept(texts, *begins(ROWS.c.text, None)) == sorted(texts)


def test_a_time_bounds_ids_and_its_end_is_excluded() -> None:
    early, late = new_id(1_000), new_id(2_000)
    assert kept([early, late], *between(ROWS.c.text, 1_000, 2_000)) == [early]
    assert kept([early, late], *between(ROWS.c.text, 1_001, None)) == [late]
    assert kept([early, late], *between(ROWS.c.text, -5, 1 << 60)) == [early, late]


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-03-02T10:30:00.250+01:00", 1_772_443_800_250),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
        ("2026-03-02", None),
        ("2026-03-02T09:30:00", None),
        ("1772443800", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_is_rfc_3339_with_its_offset(text: str, ms: int | None) -> None:
    if ms is not None:
        assert Filtered.model_validate({"since": text}).since == ms
    else:
        with pytest.raises(ValidationError, match="this is not a time"):
            Filtered.model_validate({"since": text})


@pytest.mark.parametrize("label", ["zone", "=east", "Zone=east", "zone=ea st", 'zone="east"'])
def test_a_label_is_a_name_and_a_value(label: str) -> None:
    with pytest.raises(ValidationError):
        Filtered.model_validate({"label": [label]})


def test_a_cursor_continues_only_the_list_with_its_filters() -> None:
    plain, east = Filtered(limit=5), Filtered(label=["zone=east"])
    for window in (plain, east):
        cursor = window.following("key-7")
        assert window.model_copy(update={"cursor": cursor, "limit": 9}).reached() == "key-7"
    for window, other in ((plain, east), (east, plain), (east, Filtered(label=["zone=west"]))):
        wrong = other.model_copy(update={"cursor": window.following("key-7")})
        with pytest.raises(ProblemError, match="has other filters; repeat the filters"):
            wrong.reached()

"""What a change says of the object that it is for."""

from dataclasses import dataclass

import pytest
from starlette.requests import Request

from headgate.master.api.expecting import ANY, Expected, expected_of, tag_of
from headgate.master.api.problems import ProblemError

ID, OTHER = "01mcc5rm00agent-one0000000", "0" * 26
DIGEST = "a" * 32


@dataclass(frozen=True)
class One:
    version: int = 3
    id: str = ID


def said(**headers: str) -> Expected:
    lines = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return expected_of(Request({"type": "http", "headers": lines}))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("*", ANY),
        ('"3"', Expected(3)),
        (f'"3-{DIGEST}"', Expected(3)),
        (f'"3-{ID}"', Expected(3, ID)),
        (f' W/"3-{ID}-{DIGEST}" ', Expected(3, ID)),
    ],
)
def test_an_etag_names_the_version_and_the_object(text: str, found: Expected) -> None:
    assert said(if_match=text) == found


@pytest.mark.parametrize("text", ["3", '""', '"-1"', '"3-"', '"3-1"', f'"{"1" * 19}"', '"3", "4"'])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ProblemError):
        said(if_match=text)


def test_the_object_is_the_one_of_that_id_and_version() -> None:
    assert said(if_match=f'"{tag_of(One())}"').fits(One())
    for wrong in (Expected(2), Expected(2, ID), Expected(3, OTHER)):
        assert not wrong.fits(One())
    assert [one.fits(None) for one in (ANY, Expected(3), Expected(3, ID))] == [True, False, False]


def test_what_must_be_new_fits_nothing_that_exists() -> None:
    new = said(if_none_match="*")
    assert (new.is_new, new.fits(None), new.fits(One())) == (True, True, False)
    assert not said(if_none_match='"3"').is_new

"""The Python face of hg-text."""

import threading

import pytest
from waiting import DEADLINE_S

from headgate._core import Document, TextError, parse_text

SAME = {
    "toml": b'[routes.a]\nhosts = ["x"]\nn = 1\nf = 0.5\nok = true\n[routes.b]\n',
    "yaml": b"routes:\n  a:\n    hosts: [x]\n    n: 1\n    f: 0.5\n    ok: true\n  b: {}\n",
    "json": b'{"routes": {"a": {"hosts": ["x"], "n": 1, "f": 0.5, "ok": true}, "b": {}}}',
}


def documents() -> list[Document]:
    return [parse_text(f"config.{format}", text, format) for format, text in SAME.items()]


def test_every_format_gives_the_same_python_values_and_hashes() -> None:
    first, *others = documents()
    expected = {"routes": {"a": {"hosts": ["x"], "n": 1, "f": 0.5, "ok": True}, "b": {}}}
    assert first.value() == expected
    for other in others:
        assert other.value() == expected
        assert other.entries() == first.entries()
        assert other.changes(first) == ([], [])


def test_null_is_none() -> None:
    assert parse_text("c.json", b'{"a": [null]}', "json").value() == {"a": [None]}


def test_entries_and_their_values() -> None:
    document = parse_text("c.toml", b"x = 1\n[routes.a]\nn = 1\n[log]\n", "toml")
    assert [(section, name) for section, name, _ in document.entries()] == [
        ("x", ""),
        ("routes", "a"),
        ("log", ""),
    ]
    assert all(len(hashed) == 16 for _, _, hashed in document.entries())
    assert document.entry("routes", "a") == {"n": 1}
    assert document.entry("x", "") == 1
    for name in ("b", ""):
        with pytest.raises(KeyError):
            document.entry("routes", name)


def test_changes_name_what_differs_then_what_is_gone() -> None:
    old = parse_text("c.toml", b"[r.a]\nn = 1\n[r.b]\n[r.c]\n", "toml")
    new = parse_text("c.toml", b"[r.b]\n[r.c]\nn = 1\n[r.d]\n", "toml")
    assert new.changes(old) == ([("r", "c"), ("r", "d")], [("r", "a")])


def test_reading_with_the_document_before_gives_the_same() -> None:
    texts = [SAME["toml"], SAME["toml"].replace(b"n = 1", b"n = 2"), b"[x.y]\n", b"[x.y"]
    before = None
    for text in texts[:3]:
        document = parse_text("c.toml", text, "toml", before)
        assert document.value() == parse_text("c.toml", text, "toml").value()
        assert document.locate(["routes", "b"], "key") == (None if text is texts[2] else (6, 9))
        before = document
    with pytest.raises(TextError):
        parse_text("c.toml", texts[3], "toml", before)


def test_a_mistake_has_its_place_and_plain_words() -> None:
    with pytest.raises(TextError) as caught:
        parse_text("conf.d/a.toml", b"a = 1\nb = 2\na = 3\n", "toml")
    error = caught.value
    assert (error.name, error.line, error.column) == ("conf.d/a.toml", 3, 1)
    assert error.message == "`a` is given twice, first at line 1, column 1; remove one of the two"
    assert str(error) == f"conf.d/a.toml:3:1: {error.message}"
    assert isinstance(error, ValueError)


def test_an_unknown_format_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="unknown format"):
        parse_text("a.ini", b"", "ini")


@pytest.mark.parametrize(
    ("format", "key", "value"),
    [("toml", (2, 1), (2, 9)), ("yaml", (3, 5), (3, 12)), ("json", (1, 19), (1, 28))],
)
def test_places_of_keys_and_values(
    format: str, key: tuple[int, int], value: tuple[int, int]
) -> None:
    document = parse_text("c", SAME[format], format)
    assert document.locate(["routes", "a", "hosts"], "key") == key
    assert document.locate(("routes", "a", "hosts"), "value") == value
    assert document.locate(["routes", "a", "hosts", 0], "value") is not None
    assert document.locate(["routes", "a", "hosts", 1], "value") is None
    assert document.locate(["routes", "a", "hosts", "0"], "value") is None


def test_a_document_can_be_asked_from_several_threads() -> None:
    document = parse_text("c.toml", SAME["toml"], "toml")
    found: list[tuple[int, int] | None] = []
    threads = [
        threading.Thread(target=lambda: found.append(document.locate(["routes", "b"], "key")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert found == [(6, 9)] * 4

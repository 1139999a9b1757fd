"""Manifests: one spelling, safe paths, and differences that lead to the same bytes."""

import fleet_parts as parts
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.fleet import manifest as mf
from headgate.fleet.signing import manifest_is_signed, sign_manifest
from headgate.kernel.errors import Invalid

NAMES = st.text(min_size=1, max_size=12).filter(lambda name: "\ud800" not in ascii(name))
GOOD = "a" * 64


@given(NAMES)
def test_a_resource_is_found_again_by_its_path(name: str) -> None:
    try:
        path = mf.resource_path("routes", name)
    except UnicodeEncodeError:
        return
    assert mf.resource_of(path) == ("routes", name)
    mf.manifest_of("s", 1, {path: b""})


def test_a_resource_has_one_spelling() -> None:
    assert mf.resource_bytes({"b": [1, "ü"], "a": None}) == '{"a":null,"b":[1,"ü"]}'.encode()
    with pytest.raises(Invalid, match="no JSON"):
        mf.resource_bytes({"a": float("nan")})


@pytest.mark.parametrize("path", ["secrets/api.key", "a.json", "a/b/c.json", "a/%41.json", "a/b.x"])
def test_other_files_are_no_resources(path: str) -> None:
    assert mf.resource_of(path) is None


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../up", "a/../b", "a//b", "a/", ".", "a\\b", "a\nb", "a" * 600, ""]
)
def test_a_path_that_leaves_the_folder_is_refused(path: str) -> None:
    entry = mf.Entry(mf.PUBLIC, path, GOOD, 1)
    with pytest.raises(Invalid):
        mf.parse(mf.Manifest((entry,), 1, "s").canonical())


@pytest.mark.parametrize(
    "entry",
    [
        mf.Entry(0o4755, "a", GOOD, 1),
        mf.Entry(mf.PUBLIC, "secrets/a", GOOD, 1),
        mf.Entry(mf.PUBLIC, "a", GOOD.upper(), 1),
        mf.Entry(mf.PUBLIC, "a", GOOD, -1),
    ],
)
def test_a_wrong_entry_is_refused(entry: mf.Entry) -> None:
    with pytest.raises(Invalid):
        mf.parse(mf.Manifest((entry,), 1, "s").canonical())


def test_a_file_that_is_a_folder_too_is_refused() -> None:
    with pytest.raises(Invalid, match="a file and a folder"):
        mf.manifest_of("s", 1, {"a": b"", "a/b": b""})


@pytest.mark.parametrize(
    "change",
    [(b"{", b"{ "), (b'"revision":3', b'"revision":3.0'), (b'"scope"', b'"more":1,"scope"')],
)
def test_another_spelling_is_refused(change: tuple[bytes, bytes]) -> None:
    text = parts.manifest(3).canonical()
    assert mf.parse(text) == parts.manifest(3)
    with pytest.raises(Invalid):
        mf.parse(text.replace(*change, 1))


def test_an_unsorted_or_repeated_path_is_refused() -> None:
    one, two = parts.manifest(1).entries[:2]
    for entries in ((two, one), (one, one)):
        with pytest.raises(Invalid, match="sort"):
            mf.parse(mf.Manifest(entries, 1, "s").canonical())


FILES = st.dictionaries(st.sampled_from(["a", "b", "c/d", "secrets/k"]), st.binary(max_size=4))


@given(FILES, FILES)
def test_a_difference_leads_to_the_same_bytes(
    before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    base, target = mf.manifest_of("s", 1, before), mf.manifest_of("s", 2, after)
    assert mf.patched(base, mf.difference(base, target)).canonical() == target.canonical()


def test_only_the_key_of_the_master_signs() -> None:
    text = parts.manifest(1).canonical()
    signature = sign_manifest(parts.KEY, text)
    assert manifest_is_signed([bytes(32), parts.PUBLIC_KEY], text, signature)
    assert not manifest_is_signed([parts.PUBLIC_KEY], text + b" ", signature)
    assert not manifest_is_signed([parts.PUBLIC_KEY], text, parts.KEY.sign(text))
    assert not manifest_is_signed([], text, signature)

"""Patterns of includes match what glob(3), which nginx asks, matches."""

import ctypes
import os
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.engines.nginx.apply.conftree import DiskFiles
from headgate.engines.nginx.instance.rooted import RootedFiles
from headgate.nginxtext.dump import DumpedFiles
from headgate.nginxtext.globs import has_unread

NAMES: Final = ("_a", "a", "b", "ab", "a*b", "a[b", "a]", "^b", "!a", "-", "a\\b", ".a", "{a,b}")
PATTERNS: Final = st.lists(st.sampled_from([*"[]^!-*?ab_.\\", "[^", "[!", "*"]), max_size=9)
WITH_FOLDERS: Final = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class _Found(ctypes.Structure):
    """`glob_t` of glibc and musl."""

    _fields_ = (
        ("count", ctypes.c_size_t),
        ("paths", ctypes.POINTER(ctypes.c_char_p)),
        ("rest", ctypes.c_char * 256),
    )


def _by_libc(pattern: str) -> list[str]:
    found, libc = _Found(), ctypes.CDLL(None)
    libc.glob(os.fsencode(pattern), 0, None, ctypes.byref(found))
    names = [os.fsdecode(found.paths[n]) for n in range(found.count)]
    libc.globfree(ctypes.byref(found))
    return sorted((n for n in names if Path(n).name != ".." and n[-2:] != "/."), key=os.fsencode)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conf.d")
    for name in NAMES:
        (folder / name).write_text("")
    return folder


@WITH_FOLDERS
@given(PATTERNS.map("".join))
def test_every_reader_of_files_matches_as_libc_does(folder: Path, name: str) -> None:
    pattern = f"{folder}/{name}*"
    if has_unread(pattern):
        return
    expected = _by_libc(pattern)
    assert DumpedFiles({f"{folder}/{one}": b"" for one in NAMES}).glob(pattern) == expected
    assert RootedFiles().glob(pattern) == expected
    assert RootedFiles(folder.parent).glob(f"/{folder.name}/{name}*") == [
        path.removeprefix(str(folder.parent)) for path in expected
    ]
    assert DiskFiles().glob(pattern) == expected


def test_a_hat_negates(folder: Path) -> None:
    left_out = {"_a", ".a"}
    names = sorted(set(NAMES) - left_out, key=os.fsencode)
    assert RootedFiles().glob(f"{folder}/[^_]*") == [f"{folder}/{name}" for name in names]


@pytest.mark.parametrize(
    "pattern",
    ["[[:alpha:]]*", "[^[:alpha:]]", "[a[.b.]]", "[[=a=]b]", "[\\^a]", "a/[x[:digit:]]/b"],
)
def test_what_is_not_read_is_known(pattern: str) -> None:
    assert has_unread(pattern)


@pytest.mark.parametrize("pattern", ["*.conf", "[^_]*", "[[:alpha]", "[[.]*.]", "\\[[:a:]", "[]:]"])
def test_what_is_read_is_not_refused(pattern: str) -> None:
    assert not has_unread(pattern)

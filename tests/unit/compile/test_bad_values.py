"""Values and files that no config can mean are refused by name, in bounded time and memory."""

import io
import os
from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.cli.check import check
from headgate.compile.load import load
from headgate.node.ports import Candidate, Rejected
from headgate.node.source import FileSource
from headgate.providers.file.disk import DiskFiles

BASE = """
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
respond = { status = 204 }
"""


def messages(folder: Path, text: str, suffix: str = "toml") -> list[str]:
    """What is wrong with a config on disk, without its folder."""
    (folder / f"main.{suffix}").write_text(text)
    loaded = load([folder / f"main.{suffix}"], DiskFiles(), {})
    return [str(one).replace(f"{folder}/", "") for one in loaded.errors]


@pytest.mark.parametrize(
    "text",
    [
        '[certificates.c]\ncert_file = "a\\u0000b"\nkey_file = "k"\n',
        '[routes.x]\nrespond = { headers = { a = { file = "\\u0000" } } }\n',
        '[node.nginx]\nbinary = "/usr\\u0000/nginx"\n',
        '[node]\nstate_dir = "/x\\U00000000y"\n',
        '[routes.x]\nmatch = [{ path = { exact = "/\\u0000" } }]\nrespond = { status = 204 }\n',
        '[routes."a\\u0000b"]\nrespond = { status = 204 }\n',
        'include = ["a\\u0000.toml"]\n',
    ],
)
def test_a_nul_is_one_error_at_its_place(tmp_path: Path, text: str) -> None:
    (wrong,) = messages(tmp_path, text if text.startswith("include") else BASE + text)
    assert wrong.startswith("main.toml:")
    assert "holds a NUL character; write it without" in wrong
    assert "\0" not in wrong


@pytest.mark.parametrize(("text", "suffix"), [('a: "x\\0"', "yaml"), ('{"a": "\\u0000"}', "json")])
def test_a_nul_is_found_in_every_format(tmp_path: Path, text: str, suffix: str) -> None:
    (wrong,) = messages(tmp_path, text, suffix)
    assert "holds a NUL character" in wrong


def test_what_only_looks_like_a_nul_is_none(tmp_path: Path) -> None:
    body = "[routes.y]\nrespond = { body = 'a\\u0000' }\n"
    assert messages(tmp_path, BASE + body) == []


@pytest.mark.parametrize("name", ["pipe.toml", "zero.toml", "socket.toml"])
def test_special_files_in_a_directory_are_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "main.toml").write_text(BASE)
    if name == "zero.toml":
        (tmp_path / name).symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / name)
    loaded = load([tmp_path], DiskFiles(), {})
    (wrong,) = (str(one) for one in loaded.errors)
    assert wrong.startswith(f"{tmp_path / name}: the file cannot be read: it is a ")


@pytest.mark.parametrize("key", ["cert", "key"])
def test_special_files_are_refused_where_they_are_named(tmp_path: Path, key: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    values = {"cert": "/dev/zero", "key": "/dev/zero"} | {key: "pipe"}
    text = f"[certificates.c]\ncert_file = '{values['cert']}'\nkey_file = '{values['key']}'\n"
    found = messages(tmp_path, BASE + text)
    assert any(f"certificates.c.{key}_file" in one and "it is a named pipe" in one for one in found)
    assert any("it is a device" in one for one in found)


def test_editors_locks_and_hidden_files_are_no_config(tmp_path: Path) -> None:
    (tmp_path / "main.toml").write_text(BASE)
    (tmp_path / ".#main.toml").symlink_to("me@host.1:2")
    (tmp_path / ".main.toml.swp").write_bytes(b"\x00\xff")
    (tmp_path / "._main.toml").write_bytes(b"\x00\x05\x16\x07")
    assert load([tmp_path], DiskFiles(), {}).errors == ()


def test_includes_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.toml").write_text('include = ["../d/a.toml"]\n')
    loaded = load([tmp_path / "d" / "a.toml"], DiskFiles(), {})
    assert any("include in a row" in str(one) for one in loaded.errors)
    assert len(loaded.watched.files) < 20


class _Unlistable(MemoryFiles):
    def glob(self, pattern: object) -> list[Path]:
        raise PermissionError(13, "Permission denied", str(pattern))


def test_a_directory_that_cannot_be_listed_is_refused() -> None:
    files = _Unlistable({"d/main.toml": BASE, "other.toml": 'include = ["d/*.toml"]\n' + BASE})
    (wrong,) = load([Path("d")], files, {}).errors
    assert str(wrong).startswith("d: the file cannot be read: permission denied")
    (wrong,) = load([Path("other.toml")], files, {}).errors
    assert 'the directory of "d/*.toml" cannot be listed' in str(wrong)


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("[node]\nlog_level = 'warn'\n", "neither a listener nor a route"),
        ("[listeners.web]\naddress = '127.0.0.1:8000'\ndefault = true\n", "no route"),
    ],
)
def test_a_config_that_serves_nothing_is_refused_unless_it_says_so(
    tmp_path: Path, text: str, lacks: str
) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    told = io.StringIO()
    assert check([path], stream=told, env={}) == 78
    assert f"{path}: the config has {lacks}: it would serve nothing; add [routes.NAME]" in (
        told.getvalue()
    )
    found = FileSource([path]).load()
    assert isinstance(found, Rejected)
    assert lacks in str(found.diagnostics[-1])
    meant = "allow_empty = true\n"
    path.write_text(text + meant if "[node]" in text else f"{text}[node]\n{meant}")
    assert check([path], stream=io.StringIO(), env={}) == 0
    assert isinstance(FileSource([path]).load(), Candidate)
    path.write_text(
        "[node]\nengine = 'nginx'\n[node.nginx]\nmode = 'observe'\nstart = 'external'\n"
    )
    assert check([path], stream=io.StringIO(), env={}) == 0


MANY_DIGITS = "9" * 5000


@pytest.mark.parametrize("routes", [1, 40])
@pytest.mark.parametrize(
    "entry",
    [
        f'timeouts = {{ request = "{MANY_DIGITS}s" }}',
        f'timeouts = {{ request = "0.{MANY_DIGITS}s" }}',
        f'limits = {{ body = "{MANY_DIGITS}MiB" }}',
        'priority = "${env:MANY}"',
        'priority = "${env:WORD}"',
        f'middlewares = [{{ rate_limit = {{ rate = "{MANY_DIGITS}/s" }} }}]',
        f'middlewares = [{{ rate_limit = {{ rate = "1/s", key = "path:{MANY_DIGITS}" }} }}]',
        f'middlewares = [{{ rewrite = {{ host = "a.example:{MANY_DIGITS}" }} }}]',
        f'middlewares = [{{ rewrite = {{ regex = "/(a)", with = "/${MANY_DIGITS}" }} }}]',
        f'middlewares = [{{ redirect = {{ host = "a.example:{MANY_DIGITS}" }} }}]',
    ],
)
def test_a_number_of_very_many_digits_is_an_error_at_its_place(entry: str, routes: int) -> None:
    """Python's `int` raises an error of its own for more than 4,300 digits."""
    text = BASE + "".join(
        f"[routes.r{number}]\n{entry}\nrespond = {{ status = 204 }}\n" for number in range(routes)
    )
    files = MemoryFiles({"main.toml": text})
    env = {"MANY": MANY_DIGITS, "WORD": "x5"}
    loaded = load([PurePath("main.toml")], files, env)
    assert len(loaded.errors) == routes
    assert all(str(one).startswith("main.toml:") for one in loaded.errors)


@pytest.mark.parametrize(("key", "most"), [("soak", "5m"), ("debounce", "1m")])
def test_an_apply_cannot_wait_longer_than_a_run(tmp_path: Path, key: str, most: str) -> None:
    node = BASE + "[node]\nengine = 'nginx'\n"
    assert messages(tmp_path, f"{node}nginx = {{ {key} = '{most}' }}\n") == []
    (wrong,) = messages(tmp_path, f"{node}nginx = {{ {key} = '10m' }}\n")
    assert f"node.nginx.{key}: " in wrong
    assert f'"10m" is longer than an apply can wait; write at most "{most}"' in wrong

"""The admin API's token in a file of its own: read beside its document, taken anew, never shown."""

from pathlib import Path, PurePath

import pytest
from memory_files import MemoryFiles

from headgate.compile.compiler import Compiler
from headgate.compile.load import load
from headgate.compile.loaded import Loaded
from headgate.providers.file.disk import DiskFiles

CONFIG = """
[node]
admin_token = { file = "token" }
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.a]
respond = { status = 204 }
"""
MAIN = [PurePath("conf/main.toml")]
TOKEN = "correct-horse-battery"  # noqa: S105 - it opens nothing


def errors(loaded: Loaded) -> list[str]:
    return [str(one) for one in loaded.errors]


def test_the_token_of_the_file_is_taken_and_a_change_of_it_too() -> None:
    files = MemoryFiles({"conf/main.toml": CONFIG, "conf/token": f"{TOKEN}\n"})
    compiler = Compiler()
    loaded = compiler.load(MAIN, files, {})
    assert loaded.node is not None, errors(loaded)
    assert loaded.node.admin_token == TOKEN
    assert PurePath("conf/token") in loaded.watched.files
    assert TOKEN not in repr(loaded.node)
    assert loaded.plan is not None
    assert not any(TOKEN.encode() in one.canonical for one in loaded.plan.objects.values())
    files.content["conf/token"] = "another-one-of-the-kind"
    again = compiler.load(MAIN, files, {})
    assert again.node is not None
    assert again.node.admin_token == "another-one-of-the-kind"  # noqa: S105


def test_the_file_lies_beside_the_document_that_names_it() -> None:
    first = 'include = ["d/more.toml"]\n' + CONFIG.replace('admin_token = { file = "token" }', "")
    more = '[node]\nadmin_token = { file = "token" }\n'
    files = MemoryFiles({"conf/main.toml": first, "conf/d/more.toml": more, "conf/d/token": TOKEN})
    loaded = load(MAIN, files, {})
    assert loaded.node is not None, errors(loaded)
    assert loaded.node.admin_token == TOKEN


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, '"conf/token" cannot be read: no such file or directory; name a file that'),
        ("", '"conf/token" is empty; name a file with the secret in its only line'),
        ("\n", '"conf/token" is empty; name a file with the secret in its only line'),
        ("short-one", 'the text of "token" is not a token; write 16 to 512 characters of'),
        (f"{TOKEN}\nand more", 'the text of "token" is not a token; write 16 to 512'),
        (b"\xff" * 20, '"token" is not UTF-8 text'),
    ],
)
def test_a_file_without_a_token_is_refused_by_name(
    content: str | bytes | None, message: str
) -> None:
    files = MemoryFiles({"conf/main.toml": CONFIG})
    if content is not None:
        files.content["conf/token"] = content
    compiler = Compiler()
    refused = compiler.load(MAIN, files, {})
    (said,) = errors(refused)
    assert said.startswith(f"conf/main.toml:3:15: node.admin_token: {message}")
    assert "short-one" not in said
    assert "horse" not in said
    assert PurePath("conf/token") in refused.watched.files
    files.content["conf/token"] = TOKEN
    assert not compiler.load(MAIN, files, {}).errors, "a mended file heals the config"


def test_a_file_that_every_user_can_read_is_refused_until_its_mode_is_mended(
    tmp_path: Path,
) -> None:
    main, token = tmp_path / "main.toml", tmp_path / "token"
    main.write_text(CONFIG)
    token.write_text(TOKEN)
    compiler = Compiler()
    for mode, is_refused in ((0o640, False), (0o644, True), (0o600, False)):
        token.chmod(mode)
        said = errors(compiler.load([main], DiskFiles(), {}))
        assert bool(said) is is_refused, oct(mode)
        if said:
            assert said == [
                f'{main}:3:15: node.admin_token: every user of this host can read "{token}"; '
                "take that right away, for example with `chmod o-r`"
            ]


@pytest.mark.parametrize("value", ['{ path = "token" }', "{ file = 3 }", "1234567890123456"])
def test_what_is_no_token_is_told_both_ways_to_write_one(value: str) -> None:
    text = CONFIG.replace('{ file = "token" }', value)
    (said,) = errors(load(MAIN, MemoryFiles({"conf/main.toml": text}), {}))
    assert 'this is not a token; write { file = "…" } or "${env:HEADGATE_ADMIN_TOKEN}"' in said

"""Rendered files shown and compared: nothing secret comes out."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from headgate.cli.nginx.show_files import differences, printed, write
from headgate.engines.nginx.common.types import Rendered, RenderedFile
from headgate.features import templates
from headgate.features.nginx import quoted, whole
from headgate.nginxtext import writer

_KEY = b"-----BEGIN PRIVATE KEY-----\nMIIkeymaterial\n-----END PRIVATE KEY-----\n"
_OTHER = _KEY.replace(b"MIIkey", b"MIInew")


def _files(**content: bytes) -> dict[str, RenderedFile]:
    names = {name.replace("__", "/"): text for name, text in content.items()}
    return {
        path: RenderedFile(path, text, 0o600 if path.endswith("key") else 0o640)
        for path, text in names.items()
    }


def _shown(
    before: dict[str, RenderedFile], after: dict[str, RenderedFile], *secrets: str
) -> tuple[list[str], str]:
    found = list(differences(before, after, secrets))
    return [f"{one.path} {one.change}" for one in found], "\n".join(
        line for one in found for line in one.lines
    )


def test_files_that_are_the_same_are_no_difference() -> None:
    assert _shown(_files(a=b"x\n"), _files(a=b"x\n")) == ([], "")


def test_a_changed_file_is_a_unified_diff() -> None:
    names, text = _shown(_files(nginx=b"a;\nb;\n"), _files(nginx=b"a;\nc;\n"))
    assert names == ["nginx changed"]
    assert "--- current/nginx" in text
    assert "-b;" in text
    assert "+c;" in text


def test_files_come_and_go() -> None:
    names, text = _shown(_files(old=b"x;\n"), _files(new=b"y;\n"))
    assert names == ["new added", "old removed"]
    assert "+y;" in text
    assert "-x;" in text


def test_what_follows_a_hidden_or_unchanged_file_is_shown() -> None:
    names, _ = _shown(
        _files(a=b"x\n", b_key=_KEY, c=b"x\n", d=b"x\n"),
        _files(a=b"x\n", b_key=_OTHER, c=b"y\n", d=b"y\n"),
    )
    assert names == ["b_key changed, content (not shown)", "c changed", "d changed"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (_files(certs__a_key=_KEY), _files(certs__a_key=_OTHER)),
        (_files(), _files(certs__a_key=_OTHER)),
        (_files(pem=_KEY), _files(pem=b"nothing secret now")),
        (_files(htpasswd=b"ann:$2y$10$abcdef\n"), _files(htpasswd=b"ann:$2y$10$ghijkl\n")),
    ],
)
def test_keys_and_passwords_are_said_to_change_and_never_shown(
    before: dict[str, RenderedFile], after: dict[str, RenderedFile]
) -> None:
    names, text = _shown(before, after)
    assert text == ""
    assert names[0].endswith("content (not shown)")


def test_a_value_from_a_secret_file_is_hidden_on_both_sides() -> None:
    old = b"  proxy_set_header x-key old-token;\n  return 200;\n"
    new = b"  proxy_set_header x-key new-token;\n  return 201;\n"
    _, text = _shown(_files(a=old), _files(a=new), "new-token")
    assert "token" not in text
    assert "proxy_set_header x-key (not shown);" in text
    assert "+  return 201;" in text


@pytest.mark.parametrize("secret", ["dGhpcy5p+2Nx9w==", "a.b-c", 'pa$s"w', "back\\slash"])
def test_a_secret_is_hidden_as_nginx_has_it(secret: str) -> None:
    text = writer.render(
        [
            writer.entry(whole(quoted(secret)), writer.Word("1")),
            writer.directive("proxy_set_header", writer.Word("x"), writer.Literal(secret)),
        ]
    )
    rendered = Rendered((RenderedFile("nginx.conf", text, 0o640),), ())
    secrets = [templates.escaped(secret)]
    assert printed(rendered, is_json=False, secrets=secrets).count("(not shown)") == 2
    _, shown = _shown({}, _files(a=text), *secrets)
    assert shown.count("(not shown)") == 2
    _, shown = _shown(_files(a=text), _files(a=text + b"more;\n"), *secrets)
    assert shown.count("(not shown)") == 2


def test_of_two_secrets_the_longer_one_goes_first() -> None:
    rendered = Rendered((RenderedFile("a", b"set $x abcdefgh;\n", 0o640),), ())
    for secrets in (["abcd", "abcdefgh"], ["abcdefgh", "abcd"]):
        shown = printed(rendered, is_json=False, secrets=secrets)
        assert shown == "# --- a (0640)\nset $x (not shown);\n"


def test_what_is_printed_has_no_keys_but_tells_them_apart() -> None:
    files = _files(certs__a_key=b"of no form that is known\n", b=b"set $x s3cret;\n", pem=_KEY)
    rendered = Rendered(tuple(files.values()), ())
    sums = {path: hashlib.sha256(file.content).hexdigest() for path, file in files.items()}
    assert printed(rendered, is_json=False, secrets=["s3cret", ""]) == (
        "# --- b (0640)\n"
        "set $x (not shown);\n"
        "# --- certs/a_key (0600)\n"
        f"# (not shown), sha256 {sums['certs/a_key']}\n"
        "# --- pem (0640)\n"
        f"# (not shown), sha256 {sums['pem']}\n"
    )
    shown = json.loads(printed(rendered, is_json=True, secrets=["s3cret"]))
    assert {one["path"]: one["sha256"] for one in shown} == sums
    assert [one["content"] for one in shown] == ["set $x (not shown);\n", "", ""]
    assert [one["is_secret"] for one in shown] == [False, True, True]


def test_files_are_written_with_their_modes_into_an_empty_folder(tmp_path: Path) -> None:
    files = _files(http__a__b=b"x", http__a__c=b"y", certs__key=_KEY)
    rendered = Rendered(tuple(files.values()), ())
    folder = tmp_path / "new" / "out"
    write(rendered, folder)
    assert (folder / "certs/key").read_bytes() == _KEY
    assert (folder / "http/a/c").read_bytes() == b"y"
    assert os.stat(folder / "certs/key").st_mode & 0o777 == 0o600  # noqa: PTH116
    with pytest.raises(FileExistsError):
        write(rendered, folder)
    (tmp_path / "empty").mkdir()
    write(rendered, tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    with pytest.raises(FileExistsError, match="the directory is not empty"):
        write(rendered, tmp_path / "full")
    assert [one.name for one in (tmp_path / "full").iterdir()] == ["mine"]

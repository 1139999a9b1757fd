"""A directory of config becomes resources, or says what is wrong with which file."""

from pathlib import Path

import pytest

from headgate.kernel.errors import Invalid
from headgate.master.dev.config_dir import files_of


def test_every_entry_becomes_a_resource(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[routes."a/b"]\nupstream = "u"\n')
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "b.json").write_text('{"upstreams": {"u": {"endpoints": ["x:1"]}}}')
    (tmp_path / "README.md").write_text("not config")
    assert files_of(tmp_path) == {
        "routes/a%2Fb.json": b'{"upstream":"u"}',
        "upstreams/u.json": b'{"endpoints":["x:1"]}',
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[node]\nworkers = 1", "`node` is no kind of resource"),
        ("routes = 1", "`routes` is no table"),
        ("[", "write TOML or JSON"),
        ("[routes.other]\nx = 2020-01-01", "no JSON"),
    ],
)
def test_what_cannot_be_one_names_its_file(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(Invalid, match=says):
        files_of(tmp_path)


def test_an_entry_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text("[routes.r]\n")
    with pytest.raises(Invalid, match="twice"):
        files_of(tmp_path)

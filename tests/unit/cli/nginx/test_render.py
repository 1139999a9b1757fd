"""`headgate nginx render`: what it prints or writes, and how it ends where that cannot be."""

import json
from pathlib import Path

import pytest
from said_renderer import Renderer

from headgate.cli.nginx import rendering, show_files
from headgate.cli.nginx.rendering import BadConfigError
from headgate.engines.nginx.capabilities import NotProbedError
from headgate.engines.nginx.common.types import Rendered, RenderedFile
from headgate.kernel.diagnostics import Diagnostic, render_json

FILES = (RenderedFile("nginx.conf", b"set $x s3cret;\n"),)
WRONG = Diagnostic(file="a.toml", line=1, column=1, message="no")


@pytest.fixture
def renderer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Renderer:
    one = Renderer("render", tmp_path, Rendered(FILES, (), notes=("no HTTP/3",)))
    monkeypatch.setattr(rendering, "written", one.written)
    return one


def test_the_files_are_printed_without_secrets_and_notes_apart(renderer: Renderer) -> None:
    note = "note: no HTTP/3\n"
    text = "# --- nginx.conf (0640)\nset $x (not shown);\n"
    assert renderer.run() == (0, text, note)
    code, out, err = renderer.run("--binary", "/opt/nginx", "-o", "json")
    assert (code, err) == (0, note)
    assert [one["content"] for one in json.loads(out)] == ["set $x (not shown);\n"]
    root = renderer.state / "nginx"
    configs = [Path("a.toml")]
    assert renderer.asked == [(configs, root, None, 1), (configs, root, "/opt/nginx", 1)]


def test_the_files_are_written_into_a_folder_instead(
    renderer: Renderer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    code, said, _ = renderer.run("-d", str(out))
    assert (code, said) == (0, f"1 files in {out}\n")
    assert (out / "nginx.conf").read_bytes() == FILES[0].content
    code, said, complaint = renderer.run("-d", str(out))
    assert (code, said) == (1, "")
    assert complaint.endswith(f"headgate: {out}: the directory is not empty\n")
    for error, place in ((OSError(28, "full"), out), (OSError(13, "full", "/else"), "/else")):
        monkeypatch.setattr(show_files, "write", _raising(error))
        assert renderer.run("-d", str(out))[2].endswith(f"headgate: {place}: full\n")


def _raising(error: OSError) -> object:
    def write(*_: object) -> None:
        raise error

    return write


def test_what_cannot_be_rendered_is_told_in_the_format_of_the_output(renderer: Renderer) -> None:
    renderer.error = BadConfigError([WRONG])
    assert renderer.run() == (78, "", "a.toml:1:1: no\n")
    assert renderer.run("-o", "json") == (78, "", render_json([WRONG]).decode() + "\n")
    renderer.error = NotProbedError("it says no")
    assert renderer.run() == (1, "", "headgate: it says no\n")

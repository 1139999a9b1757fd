"""Doc comments begin with a verb, a noun phrase or a sentence, not with a clause without a head."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADLESS = re.compile(
    r"(?:What|Who|Whoever|Whose|Whom|Where|Whether|How|When|Which|Why"
    r"|(?:Since|Until|From|Up to) when"
    r"|(?:From|By|At|After|For|In|Into|Of|To|With) (?:how|(?:which|what|whom)"
    # Not a sentence such as "For which a client asks, the worker …" or "In which case it …".
    r"(?! case |.*, (?:the|an?|its?|they|each|every|no|nothing) )))"
    r"(?: [^?]*)?(?:[.:;]|$)"
)
DOC = re.compile(r"\s*(///|//!) ?(.*)")


def python_comments(text: str) -> Iterator[tuple[int, str]]:
    """The line and the text of each docstring, those of attributes too."""
    for node in ast.walk(ast.parse(text)):
        body = getattr(node, "body", None)
        for one in body if isinstance(body, list) else []:
            if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant):
                value = one.value.value
                if isinstance(value, str):
                    yield one.lineno, value.strip()


def rust_comments(text: str) -> Iterator[tuple[int, str]]:
    """The line and the first line of each doc comment."""
    before = ""
    for number, line in enumerate(text.split("\n"), 1):
        found = DOC.match(line)
        mark = found[1] if found else ""
        if found and mark != before:
            yield number, found[2]
        before = mark


def headless(path: Path) -> list[str]:
    """A line for each such comment of a file."""
    comments = rust_comments if path.suffix == ".rs" else python_comments
    name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    found = comments(path.read_text())
    return [f"{name}:{at}: {text}" for at, text in found if HEADLESS.match(text.split("\n")[0])]


@pytest.mark.parametrize(
    "files",
    [
        "src/headgate/**/*.py",
        "src/headgate/**/*.pyi",
        "tools/**/*.py",
        "engine/crates/*/src/**/*.rs",
    ],
)
def test_no_doc_comment_begins_without_a_head(files: str) -> None:
    paths = sorted(ROOT.glob(files))
    assert paths
    assert [line for path in paths for line in headless(path)] == []


def test_they_are_found(tmp_path: Path) -> None:
    python, rust = tmp_path / "a.py", tmp_path / "a.rs"
    python.write_text(
        '"""What it is."""\n\nclass A:\n    """A thing."""\n\n    b: int\n    """How long."""\n'
        '    c: int\n    """Since when it waits."""\n'
        '    d: int\n    """For which a client asks, the worker looks."""\n'
    )
    rust.write_text(
        "//! A thing.\n//! What is more.\n\n/// Who waits.\nstruct A;\n\n"
        "/// By whom.\nstruct B;\n\n/// In which case it waits.\nstruct C;\n"
    )
    found = ["What it is.", "How long.", "Since when it waits."]
    assert [line.rpartition(": ")[2] for line in headless(python)] == found
    assert [line.rpartition(": ")[2] for line in headless(rust)] == ["Who waits.", "By whom."]

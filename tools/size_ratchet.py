"""Refuses files over 500 lines and functions over 50, in Python and Rust, and Rust structs of more
than 12 named fields.

What is over a limit needs an entry in `size_ratchet.toml` with a reason, at exactly the size it
has: it may not grow, and when it shrinks the entry shrinks with it. Docstrings and doc comments of
a function do not count. It skips generated files.
"""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rust_functions import functions as rust_functions
from rust_functions import structs as rust_structs

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("src", "engine", "tests", "tools", "fuzz", "benchmarks", "examples")
FILE_LINES = 500
FUNCTION_LINES = 50
STRUCT_FIELDS = 12
_STRUCT = "struct "


class Size(NamedTuple):
    """The length of a file or of one function of it; the name is empty for the file.

    Where the name is `struct NAME`, it is the number of fields of that struct.
    """

    path: str
    function: str
    lines: int

    def __str__(self) -> str:
        unit = "fields" if self.function.startswith(_STRUCT) else "lines"
        return f"{self.path}: {self.function or 'the file'} has {self.lines} {unit}"

    @property
    def limit(self) -> int:
        """The limit without an entry."""
        if self.function.startswith(_STRUCT):
            return STRUCT_FIELDS
        return FUNCTION_LINES if self.function else FILE_LINES


def main() -> int:
    """Prints every breach; the exit code reports whether there was one."""
    over = {(s.path, s.function): s for s in sizes() if s.lines > s.limit}
    breaches = list(compare(over, allowances()))
    sys.stderr.writelines(f"size: {breach}\n" for breach in breaches)
    return 1 if breaches else 0


def compare(
    over: dict[tuple[str, str], Size], allowed: dict[tuple[str, str], int]
) -> Iterator[str]:
    """Yields what is over a limit without an allowance, or is not what the allowance says."""
    for key, size in over.items():
        allowance = allowed.get(key)
        if allowance is None:
            yield f"{size}, the limit is {size.limit}"
        elif size.lines > allowance:
            yield f"{size}, its allowance is {allowance}"
        elif size.lines < allowance:
            yield f"{size}: lower its allowance from {allowance} in tools/size_ratchet.toml"
    for path, function in allowed.keys() - over.keys():
        yield f"{path}: {function or 'the file'} needs no allowance any more; remove it"


def allowances() -> dict[tuple[str, str], int]:
    """Returns the entries of `size_ratchet.toml` by path and function.
    Raises `KeyError` without reason.
    """
    entries = tomllib.loads((ROOT / "tools" / "size_ratchet.toml").read_text()).get("over", [])
    for entry in entries:
        if not entry.get("reason", "").strip():
            raise KeyError(f"{entry['path']}: an allowance needs a reason")
    return dict(_allowance(entry) for entry in entries)


def _allowance(entry: dict[str, Any]) -> tuple[tuple[str, str], int]:
    if "struct" in entry:
        return (entry["path"], _STRUCT + entry["struct"]), entry["fields"]
    return (entry["path"], entry.get("function", "")), entry["lines"]


def sizes() -> Iterator[Size]:
    """Yields every file that counts and its functions."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            relative = path.relative_to(ROOT)
            if path.suffix in {".py", ".rs"} and not is_generated(relative):
                yield from file_sizes(relative.as_posix(), path.read_text())


def is_generated(path: Path) -> bool:
    """Reports whether a tool wrote the file."""
    return "_pb2" in path.name or not {"generated", "target", "work"}.isdisjoint(path.parts)


def file_sizes(path: str, text: str) -> Iterator[Size]:
    """Yields the size of a file, of its functions and of its structs."""
    yield Size(path, "", text.count("\n"))
    functions = rust_functions(text) if path.endswith(".rs") else python_functions(text)
    if path.endswith(".rs"):
        for name, fields in rust_structs(text):
            yield Size(path, _STRUCT + name, fields)
    longest: dict[str, int] = {}
    for name, lines in functions:
        longest[name] = max(lines, longest.get(name, 0))
    for name, lines in longest.items():
        yield Size(path, name, lines)


def python_functions(text: str) -> Iterator[tuple[str, int]]:
    """Yields names and lines of the functions of a Python module, methods
    and inner ones included.
    """
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            first = node.body[0]
            if ast.get_docstring(node, clean=False) is not None:
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield node.name, lines


if __name__ == "__main__":
    sys.exit(main())

"""Writes schema/openapi.json from the master's application, and its reference for people.

These are docs/reference/rest-routes.md and the page that a master serves at /docs: HTML without
scripts, in the wheel. With `--check` it writes nothing, names what differs and exits with 1.
"""

import html
import json
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from openapi_blocks import Block, Heading, Table, Text, blocks

from headgate.master.application import application

ROOT: Final = Path(__file__).resolve().parent.parent
SCHEMA: Final = "schema/openapi.json"
_CODE: Final = re.compile(r"`([^`]+)`")
_NOTE: Final = (
    "This page is generated from `schema/openapi.json`, which the master writes of itself."
    " What holds for all routes is in"
)


def main() -> int:
    """Writes the files; with `--check` only says which differ."""
    different = []
    for name, text in files().items():
        path = ROOT / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        different.append(name)
        if "--check" not in sys.argv[1:]:
            path.write_text(text, encoding="utf-8")
    if different and "--check" in sys.argv[1:]:
        sys.stderr.write(f"openapi_reference: out of step: {', '.join(different)}\n")
        return 1
    return 0


def files() -> dict[str, str]:
    """Returns every file's text by its path."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = application(None, project["version"]).openapi()
    found = list(blocks(page))
    return {
        SCHEMA: json.dumps(page, indent=1, ensure_ascii=False, sort_keys=True) + "\n",
        "docs/reference/rest-routes.md": markdown(found),
        "src/headgate/master/reference_page.html": page_of(found),
    }


def markdown(found: Iterable[Block]) -> str:
    """Returns the blocks as Markdown."""
    parts = []
    for one in found:
        match one:
            case Heading(level, text):
                parts.append(f"{'#' * level} {text}")
                if level == 1:
                    parts.append(f"{_NOTE} [the master's REST API](master-api.md).")
            case Text(text):
                parts.append(_linked(text))
            case Table(head, rows):
                lines = [_row(head), "|" + " --- |" * len(head), *map(_row, rows)]
                parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_linked(cell.replace("|", r"\|")) for cell in cells) + " |"


def _linked(text: str) -> str:
    return re.sub(
        r"`\[(\w+)\]`", lambda found: f"[`{found[1]}`](#{found[1].lower().replace(' ', '-')})", text
    )


_STYLE: Final = """
body { font: 15px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; vertical-align: top;
border-top: 1px solid #ccc; padding: .2em .6em .2em 0 } code { background: #f2f2f2 }
h3 { margin-top: 2em }
"""


def page_of(found: Iterable[Block]) -> str:
    """Returns the blocks as an HTML page that needs nothing else."""
    parts = [
        '<!doctype html>\n<html lang="en"><meta charset="utf-8">',
        "<title>headgate: the REST API</title>",
        f"<style>{_STYLE}</style>",
    ]
    for one in found:
        match one:
            case Heading(level, text, is_schema):
                anchor = f' id="{html.escape(text)}"' if is_schema else ""
                parts.append(f"<h{level}{anchor}>{_html(text)}</h{level}>")
                if level == 1:
                    parts.append('<p><a href="/api/v1/openapi.json">openapi.json</a></p>')
            case Text(text):
                parts.append(f"<p>{_html(text)}</p>")
            case Table(head, rows):
                parts.append("<table>")
                parts.append(_cells("th", head))
                parts += [_cells("td", row) for row in rows]
                parts.append("</table>")
    return "\n".join(parts) + "\n"


def _cells(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{_html(cell)}</{tag}>" for cell in cells) + "</tr>"


def _html(text: str) -> str:
    def code(found: re.Match[str]) -> str:
        name = found[1]
        if name.startswith("[") and name.endswith("]"):
            return f'<a href="#{name[1:-1]}"><code>{name[1:-1]}</code></a>'
        return f"<code>{name}</code>"

    return _CODE.sub(code, html.escape(text))


if __name__ == "__main__":
    sys.exit(main())

"""Writes docs/reference/parity.md: for each key of the config, what nginx makes of it.

From `headgate.engines.nginx.render.parity`, the features' `nginx.py` and the scenarios' reasons.
Fails when a key of the reference has no line. With `--check` it writes nothing, names what differs
on stderr and exits with 1.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headgate.engines.nginx.render.parity import PARITY
from headgate.engines.nginx.render.parity_beyond import BEYOND_KEYS
from headgate.features.nginx import Parity

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "reference" / "parity.md"

_HEADING: Final = re.compile(r"### `([^`]+)`")
_ROW: Final = re.compile(r"\| `([^`]+)` \| (.*?) \|")
#: What says which engine runs and how means nothing to the other.
_OF_THE_ENGINE: Final = ("node.engine", "node.nginx.", "node.instances.")

_WORDS: Final = {"same": "yes", "differs": "differs", "no": "no"}

#: Tables that mean the same in two places: a route's own and a middleware's.
_ALIASES: Final = {
    "routes.NAME.respond": "middlewares.NAME.respond",
    "routes.NAME.redirect": "middlewares.NAME.redirect",
}


def main() -> int:
    """Writes the page; with `--check` only says whether it differs."""
    missing = sorted(set(keys()) - {line.key for line in PARITY})
    stray = sorted({line.key for line in PARITY} - set(keys()))
    for key in missing:
        sys.stderr.write(f"nginx_parity: nothing says what nginx makes of {key}\n")
    for key in stray:
        sys.stderr.write(f"nginx_parity: there is no key {key}\n")
    if missing or stray:
        return 1
    text = page()
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    if "--check" in sys.argv[1:]:
        sys.stderr.write("nginx_parity: docs/reference/parity.md is out of step\n")
        return 1
    PAGE.write_text(text, encoding="utf-8")
    return 0


def keys() -> Iterator[str]:
    """Yields every key of the reference that has a value of its own, once."""
    reference = (ROOT / "docs" / "reference" / "config.md").read_text(encoding="utf-8")
    sections = re.split(r"(?m)^(?=### )", reference)[1:]
    tables = {found[1] for found in map(_HEADING.match, sections) if found}
    for section in sections:
        heading = _HEADING.match(section)
        if heading is None or heading[1] in _ALIASES:
            continue
        for row in _ROW.finditer(section):
            key = f"{heading[1]}.{row[1]}"
            below = {key, f"{key}[]", f"{key}.NAME", f"{key}[].NAME"} & tables
            is_value = not below and key not in _ALIASES and heading[1] != "middlewares.NAME"
            if is_value and not key.startswith(_OF_THE_ENGINE):
                yield key


def page() -> str:
    """Returns the whole page."""
    lines = [
        "# What nginx does differently",
        "",
        "Written by `tools/nginx_parity.py` from what the renderer says of itself. Everything on",
        "this page holds for the native engine. `yes`: nginx does the same. `differs`: it is",
        "rendered, with the difference named. `no`: nginx has nothing like it; a config that asks",
        "for it is refused, or where it says `the node's own`, the node does it.",
    ]
    section = ""
    for line in PARITY:
        if line.key.partition(".")[0] != section:
            section = line.key.partition(".")[0]
            rows = [one for one in PARITY if one.key.partition(".")[0] == section]
            if f"## {section}" in lines:
                continue
            lines += [
                "",
                f"## {section}",
                "",
                "| key | native | nginx | why |",
                "|---|---|---|---|",
            ]
            lines += [_row(one) for one in rows]
    lines += ["", "## Beyond keys", ""]
    lines += [f"- {text}" for text in BEYOND_KEYS]
    lines += ["", "## Scenarios", "", "Of `tests/scenarios`, played against both engines:", ""]
    lines += ["| scenario | what it shows | why nginx does not |", "|---|---|---|"]
    lines += [f"| `{name}` | {about} | {why} |" for name, about, why in _scenarios()]
    return "\n".join(lines) + "\n"


def _row(line: Parity) -> str:
    return f"| `{line.key}` | yes | {_WORDS[line.nginx]} | {line.why} |"


def _scenarios() -> Iterator[tuple[str, str, str]]:
    for path in sorted((ROOT / "tests" / "scenarios").glob("*/*.toml")):
        scenario = tomllib.loads(path.read_text(encoding="utf-8"))
        if "nginx" in scenario:
            yield f"{path.parent.name}/{path.stem}", scenario["about"], scenario["nginx"]


if __name__ == "__main__":
    sys.exit(main())

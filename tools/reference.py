"""Writes the config's JSON Schema and reference pages from the options' own descriptions.

With `--check` it writes nothing, names what differs on stderr and exits with 1.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from headgate.cli.schema import schema
from headgate.features.registry import BALANCERS
from headgate.features.templates import VARIABLES
from headgate.model import environment

ROOT: Final = Path(__file__).resolve().parent.parent

EXAMPLES: Final = ROOT / "examples" / "sections"
"""A config with one file for each section."""

BALANCING: Final = "docs/reference/balancing.md"
"""A page of which only the table of balancers is generated, between two comments."""

_BEGIN: Final = "<!-- The table of balancers is generated: tools/reference.py -->"
_END: Final = "<!-- End of the table -->"

Node = dict[str, object]

NAMED: Final = "NAME"
"""The placeholder for an object's name in headings."""

_NOUNS: Final = {
    "duration": 'duration: `"30s"`',
    "fine-duration": 'duration: `"500us"`',
    "size": 'size: `"64KiB"`',
    "cidr": "network",
    "template": "text with [variables](variables.md)",
    "regex": "expression for the whole text",
    "host-pattern": "host",
    "host": "host",
    "host-header": '`"pass"`, `"endpoint"` or a host',
    "header-name": "header name",
    "cookie-name": "cookie name",
    "method": "method",
    "listen-address": "IP address and port",
    "endpoint-address": "address",
    "path": "path",
}
"""The reference's name for each format of the schema."""


def main() -> int:
    """Writes the generated files; with `--check` it only reports which ones differ."""
    pages = {
        "schema/config.schema.json": schema(),
        "docs/reference/config.md": config_page(json.loads(schema())),
        "docs/reference/variables.md": variables_page(),
        "docs/reference/environment.md": environment_page(),
        BALANCING: balancing_page(_read(ROOT / BALANCING)),
    }
    differing = [name for name, text in pages.items() if _read(ROOT / name) != text]
    if "--check" in sys.argv[1:]:
        for name in differing:
            sys.stderr.write(f"reference: {name} is out of step\n")
        return 1 if differing else 0
    for name in differing:
        path = ROOT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(pages[name], encoding="utf-8")
    return 0


def balancing_page(text: str) -> str:
    """Returns the page of balancers with their table; raises `ValueError` if it has no place."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{BALANCING} has no place for the table of balancers")
    return f"{before}{begin}\n\n{balancers_table()}\n\n{end}{after}"


def balancers_table() -> str:
    """Returns the table of all balancers, the default first."""
    lines = ["| policy | chooses | suits |", "|---|---|---|"]
    lines += [f"| `{one.key}` | {one.summary} | {one.suits} |" for one in BALANCERS]
    return "\n".join(lines)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


def config_page(document: Node) -> str:
    """Returns the reference of every key, one chapter per section."""
    lines = [
        "# The config",
        "",
        "`tools/reference.py` generates this page from the code. `schema/config.schema.json`",
        "(`headgate schema`) is the same reference as JSON Schema. Each section below ends with an",
        "example; `examples/sections/include.toml` includes all of them as one config.",
        "",
        "A document is TOML, YAML or JSON, by its suffix; the keys are the same in each.",
        'Durations and sizes need a unit (`"250ms"`, `"64KiB"`); `"off"` disables a limit or',
        "timeout where the table allows it. `${env:NAME}` in a text inserts an environment",
        'variable. A header\'s value may be `{ file = "…" }`, which reads it from a file. Relative',
        "paths are relative to the document.",
        "",
    ]
    properties = _table(document["properties"])
    lines += ["| key | meaning |", "|---|---|"]
    lines += [
        f"| [`{key}`](#{key}) | {_meaning(document, _table(at))} |"
        for key, at in properties.items()
    ]
    for key, at in properties.items():
        lines += ["", f"## {key}", "", *_chapter(document, key, _table(at)), *_example(key)]
    return "\n".join(lines).rstrip() + "\n"


def _chapter(document: Node, key: str, at: Node) -> Iterator[str]:
    yield _meaning(document, at)
    body = at
    heading = key
    if "additionalProperties" in at:
        body = _table(at["additionalProperties"])
        heading = f"{key}.{NAMED}"
    table = _resolved(document, body)
    if "properties" in table:
        yield ""
        yield from _keys(document, heading, table)


def _example(key: str) -> Iterator[str]:
    """Yields the section's part of the example config."""
    yield from ("", f"An example, from `examples/sections/{key}.toml`:", "", "```toml")
    yield (EXAMPLES / f"{key}.toml").read_text(encoding="utf-8").rstrip("\n")
    yield "```"


def _keys(document: Node, heading: str, table: Node) -> Iterator[str]:
    """Yields the table of one level, then one for each table below it."""
    required = table.get("required", [])
    below: list[tuple[str, Node]] = []
    yield f"### `{heading}`"
    yield ""
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for key, raw in _table(table["properties"]).items():
        prop = _table(raw)
        is_required = isinstance(required, list) and key in required
        default = "required" if is_required else _default(prop)
        yield f"| `{key}` | {_kind(document, prop)} | {default} | {_meaning(document, prop)} |"
        below += [(key + suffix, inner) for suffix, inner in _tables(document, prop)]
    for key, inner in below:
        yield ""
        yield from _keys(document, f"{heading}.{key}", inner)


def _tables(document: Node, prop: Node) -> Iterator[tuple[str, Node]]:
    """Yields the tables that are allowed at a key, each with the suffix of its heading."""
    choices = list(_alternatives(document, prop))
    several = any("items" in choice for choice in choices)
    # What a value of bytes may be instead of text, its key says by itself.
    if any(_only_key(choice) == "hex" for choice in choices):
        return
    for choice in choices:
        if _table(choice.get("properties", {})) and not _is_chapter(document, choice):
            yield from () if several else (("", choice),)
        elif isinstance(choice.get("items"), dict):
            for suffix, inner in _tables(document, _table(choice["items"])):
                yield "[]" + suffix, inner
        elif isinstance(choice.get("additionalProperties"), dict):
            for suffix, inner in _tables(document, _table(choice["additionalProperties"])):
                if "file" not in _table(inner["properties"]):
                    yield f".{NAMED}{suffix}", inner


def _only_key(choice: Node) -> str:
    """Returns the key of a table that has one and no other; empty for anything else."""
    keys = list(_table(choice.get("properties", {})))
    return keys[0] if len(keys) == 1 else ""


def _is_chapter(document: Node, choice: Node) -> bool:
    """Reports whether the table is a middleware, which has its own chapter."""
    return choice is _table(document["$defs"]).get("Middleware")


def _kind(document: Node, prop: Node) -> str:
    names = [_one_kind(document, choice) for choice in _alternatives(document, prop)]
    return " or ".join(dict.fromkeys(names)).replace("|", "\\|")


def _one_kind(document: Node, choice: Node) -> str:
    if "enum" in choice or "const" in choice:
        words = choice.get("enum", [choice.get("const")])
        return ", ".join(f"`{_toml(word)}`" for word in words) if isinstance(words, list) else ""
    if choice.get("type") == "array":
        return f"list of {_kind(document, _table(choice['items']))}"
    if choice.get("type") == "object":
        return _table_kind(document, choice)
    if choice.get("type") in {"integer", "number"}:
        return f"{choice.get('minimum', '')} to {choice.get('maximum', '')}"
    plain = {"boolean": "`true`, `false`", "string": "text"}
    return _NOUNS.get(str(choice.get("format")), plain.get(str(choice.get("type")), "text"))


def _table_kind(document: Node, choice: Node) -> str:
    if _is_chapter(document, choice):
        return "[middleware](#middlewares)"
    if (key := _only_key(choice)) in {"file", "hex"}:
        return f'`{{ {key} = "…" }}`'
    values = choice.get("additionalProperties")
    return f"map of {_kind(document, _table(values))}" if isinstance(values, dict) else "table"


def _default(prop: Node) -> str:
    return f"`{_toml(prop['default'])}`" if "default" in prop else ""


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _meaning(document: Node, prop: Node) -> str:
    """Returns the description of the key, or of the table that it holds."""
    about = _about(prop) or next(
        (_about(choice) for choice in _alternatives(document, prop) if _about(choice)), ""
    )
    return about.replace("|", "\\|")


def _about(node: Node) -> str:
    return str(node.get("description", "")).replace("\n", " ")


def _alternatives(document: Node, schema_node: Node) -> Iterator[Node]:
    node = _resolved(document, schema_node)
    choices = node.get("anyOf")
    if not isinstance(choices, list):
        yield node
        return
    for choice in choices:
        yield from _alternatives(document, _table(choice))


def _resolved(document: Node, node: Node) -> Node:
    while "$ref" in node:
        name = str(node["$ref"]).rpartition("/")[2]
        node = _table(_table(document["$defs"])[name])
    return node


def _table(node: object) -> Node:
    if not isinstance(node, dict):
        raise TypeError(f"not a schema: {node!r}")
    return node


_SAFE_VALUES: Final = """\
## How values are made safe

- Variables describe the request as the client sent it, with a normalised path. An earlier rewrite
  in the same chain does not change them.
- **In header values**, control characters (line ends and NUL included) become spaces. A header line
  is not sent if its value contains variables and the result is empty.
- **In paths**, bytes that are not allowed in a path are percent-encoded, `?` and `#` included, so a
  value never adds a query. The result is normalised again; if it has new dot segments, the request
  is answered with 400.
- **In hosts**, the request is answered with 400 if the result is not a host.
- **In bodies**, values are inserted unchanged; nothing is escaped for HTML or JSON. Give such an
  answer a `content-type` that browsers do not sniff, and prefer variables that clients cannot
  choose.
- `rewrite.regex` has variables of its own: in `with`, `$1`, `${1}` and `${name}` insert the groups
  of the pattern.
"""
"""The core's (`hg-middleware`) treatment of values; prose, because no type in the code holds it."""


def variables_page() -> str:
    """Returns the variables of templates."""
    lines = [
        "# Variables",
        "",
        "In header values, rewritten paths and hosts, redirects and answers, `${name}` inserts a",
        "part of the request; `$$` inserts a dollar sign. An unknown name is an error.",
        "",
        "| variable | value |",
        "|---|---|",
    ]
    lines += [f"| `${{{name}}}` | {meaning} |" for name, meaning in VARIABLES.items()]
    return "\n".join(lines) + "\n\n" + _SAFE_VALUES


def environment_page() -> str:
    """Returns the variables that define the config when there is no file."""
    lines = [
        "# A config from the environment",
        "",
        "Without a config file, these variables define the config: one listener, one upstream and",
        "one route for every host.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{name}` | `{environment.DEFAULTS[name]}` | {meaning} |"
        for name, meaning in environment.MEANINGS.items()
    ]
    lines += ["| `HEADGATE_LOG`, else `RUST_LOG` | `info` | The log level. |"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())

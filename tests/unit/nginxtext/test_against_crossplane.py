"""crossplane reads the same words where it reads as nginx does.

Where it does not (`${var}` before white space, no-break spaces, bytes that are not UTF-8, Lua long
brackets, `if (` as one word) the reference lexer and nginx itself are the judges instead.
"""

from pathlib import Path
from typing import NamedTuple

import crossplane
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.nginxtext.parse import parse
from headgate.nginxtext.tree import Directive, Node


class Read(NamedTuple):
    """A directive as either parser tells it."""

    name: str
    args: tuple[str, ...]
    line: int
    inside: "tuple[Read, ...] | None"


def _ours(nodes: tuple[Node, ...]) -> tuple[Read, ...]:
    return tuple(
        Read(
            node.name.decode(),
            tuple(value.decode() for value in node.values),
            node.line,
            None if node.children is None else _ours(node.children),
        )
        for node in nodes
        if isinstance(node, Directive)
    )


def _theirs(block: list[dict[str, object]]) -> tuple[Read, ...]:
    out = []
    for one in block:
        args = one["args"]
        inner = one.get("block")
        assert isinstance(args, list)
        assert inner is None or isinstance(inner, list)
        line = one["line"]
        assert isinstance(line, int)
        name = str(one["directive"])
        out.append(Read(name, tuple(args), line, None if inner is None else _theirs(inner)))
    return tuple(out)


WORDS = st.sampled_from(
    ["a", "b-c", "10.0.0.1:80", "$host", '"x y"', "'z;{}#'", '"$a b"', "^/a\\.b$", "~*", "é", "="]
)
LINES = st.builds(
    lambda name, args, gap, end: gap.join([name, *args]) + end,
    st.sampled_from(["proxy_set_header", "server_name", "root", "add_header"]),
    st.lists(WORDS, max_size=4),
    st.sampled_from([" ", "\t", "\n  ", "  "]),
    st.sampled_from([";", " ;", "; # tail", ";\r\n", "\n;"]),
)
BODIES = st.recursive(
    st.lists(LINES, max_size=4).map("\n".join),
    lambda inner: st.builds(
        lambda blocks: "\n".join(f"{words} {{\n{body}\n}}" for words, body in blocks),
        st.lists(
            st.tuples(st.sampled_from(["server", "location /a", "location ~ '\\.php$'"]), inner),
            max_size=3,
        ),
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(BODIES)
def test_trees_words_and_lines_are_the_same(tmp_path: Path, text: str) -> None:
    path = tmp_path / "nginx.conf"
    path.write_bytes(text.encode())
    answer = crossplane.parse(str(path), strict=False, check_ctx=False, check_args=False)
    assert answer["status"] == "ok", answer["errors"]
    assert _ours(parse(text.encode()).nodes) == _theirs(answer["config"][0]["parsed"])

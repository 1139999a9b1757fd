"""Servers of one shape become one: each host is still served as its own server would serve it."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from nginx_engine import NginxEngine
from ports import free_ports
from wire import Wire

from headgate.engines.nginx.render import shapes
from headgate.features.nginx import Shared
from headgate.nginxtext.parse import parse
from headgate.nginxtext.tree import Directive, Node
from headgate.nginxtext.writer import (
    Arg,
    Literal,
    Op,
    Plain,
    Template,
    Var,
    Word,
    comment,
    directive,
    render,
)

SOME = [f"h{n}.example" for n in range(shapes.FEWEST - 3)]
NAMES = (*SOME, "default", "*.w.test", "[::1]")
TEXTS = st.text(st.sampled_from('aB/.-$"\\ {}é;'), max_size=8)


def server(name: str, text: str, *, status: str = "200") -> shapes.Server:
    """A server with a text in each place where texts may differ."""
    url = Template((f"http://hg_up_{text}", Var("hg_path"), Var("hg_query")))
    inside = [
        directive("set", Var("hg_route"), Literal(text)),
        directive("add_header", Word("x-a"), Template((Var("scheme"), text)), Word("always")),
        directive("proxy_set_header", Word("x-b"), Literal(text)),
        directive("proxy_pass", url),
        directive("return", Word(status), Template((text, "\n", Var("uri")), lines=True)),
    ]
    nodes: list[Node] = [
        directive("listen", Word("127.0.0.1:80")),
        directive("server_name", Plain(name)),
        comment(f"host {name[:20]}"),
        directive("location", Op("="), Plain("/"), children=inside),
    ]
    return (name,), name, [comment("x"), directive("server", children=nodes)]


def as_served(files: dict[str, list[Node]], shared: Shared, name: str) -> Sequence[bytes]:
    """The lines of the server with a name, maps of the host looked up."""
    maps = {
        one.args[1].value[1:]: {
            line.name.removeprefix(b"\\"): line.args for line in one.directives()
        }
        for one in parse(render(shared.nodes), "maps").nodes
        if isinstance(one, Directive) and one.args
    }

    def looked_up(match: re.Match[bytes]) -> bytes:
        (found,) = maps[match[1]][name.encode()]
        return found.raw[1:-1]

    for nodes in files.values():
        for one in nodes:
            if not isinstance(one, Directive):
                continue
            lines = [node for node in one.directives() if node.name == b"server_name"]
            if name.encode() in lines[0].values:
                text = render([node for node in one.directives() if node.name != b"server_name"])
                text = re.sub(rb"\$\{(hg_of_[a-z0-9_]+)\}", looked_up, text)
                # Quotes around a word and braces around a variable do not change it.
                bare = re.sub(rb"\$\{?([a-z_]+)\}?", rb"$\1", text)
                return [line.replace(b'"', b"") for line in bare.splitlines() if b"#" not in line]
    raise AssertionError(name)


@given(st.lists(TEXTS, min_size=len(NAMES), max_size=len(NAMES)))
def test_what_a_host_gets_is_what_its_own_server_says(texts: list[str]) -> None:
    servers = [server(name, text) for name, text in zip(NAMES, texts, strict=True)]
    shared = Shared()
    (path,) = files = shapes.files(servers, shared)
    assert path.startswith("http/_shape-")
    for one in servers:
        own = as_served(shapes.files([one], Shared()), Shared(), one[0][0])
        assert as_served(files, shared, one[0][0]) == own


def test_few_servers_and_others_stand_for_themselves() -> None:
    few = [server(name, name) for name in NAMES[1:]]
    other = server("o.test", "o", status="201")
    expression = (("~x",), None, server("x", "x")[2])
    found = shapes.files([*few, other, expression], Shared())
    assert len(found) == len(few) + 2
    together = shapes.files([*few, server(NAMES[0], ""), other], Shared())
    assert len(together) == 2


def test_groups_of_an_expression_are_never_looked_up_in_a_map() -> None:
    def matched(name: str) -> shapes.Server:
        value: Arg = Template((name, Var("1")))
        nodes = [directive("server_name", Plain(name)), directive("return", Word("301"), value)]
        return (name,), name, [comment("x"), directive("server", children=nodes)]

    shared = Shared()
    assert len(shapes.files([matched(name) for name in NAMES], shared)) == len(NAMES)
    assert shared.nodes == []


ROUTES = """
[routes.r{n}]
hosts = ["{host}"]
respond = {{ body = "{text} ${{path}}" }}
middlewares = [{{ response_headers = {{ set = {{ x-own = "v{text}" }} }} }}]
[routes.api{n}]
hosts = ["{host}"]
match = [{{ path = {{ prefix = "/api" }} }}]
redirect = {{ host = "other{n}.example", status = 302 }}
"""


def test_the_real_nginx_serves_each_host_its_own() -> None:
    hosts = ["default", "include", "*.w.example", "*.x.w.example", "[::1]", "10.0.0.1"]
    hosts += [f"h{n}.example" for n in range(6)]
    texts = ["a", "", "/x/", "$host", "a;b", "%20", "é", "x y", "{}", "~", "\\\\", "'"]
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        config = Path(folder) / "headgate.toml"
        lines = [f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n']
        for n, (host, text) in enumerate(zip(hosts, texts, strict=True)):
            written = text.replace("$", "$$")
            lines.append(ROUTES.format(n=n, host=host, text=written))
        config.write_text("".join(lines))
        with NginxEngine(config, Path(folder)) as nginx, Wire(port) as wire:
            assert any("_shape-" in file.path for file in nginx.rendered.files)
            for n, (host, text) in enumerate(zip(hosts, texts, strict=True)):
                asked = host.replace("*", "any")
                answer = wire.ask(f"GET /p HTTP/1.1\r\nHost: {asked}\r\n\r\n".encode())
                shown = text.replace("\\\\", "\\")
                assert (answer.status, answer.body.decode()) == (200, f"{shown} /p"), host
                assert (answer.header("x-own") or "").encode("latin-1") == f"v{shown}".encode(), (
                    host
                )
                answer = wire.ask(f"GET /api/q?a HTTP/1.1\r\nHost: {asked}\r\n\r\n".encode())
                location = f"http://other{n}.example/api/q?a"
                assert (answer.status, answer.header("location")) == (302, location), host

"""What the core's middlewares make of a request and what the real nginx makes of it: the same.

An upstream tells what it was sent; answers are compared as the client gets them.
"""

import json
import tempfile
from base64 import b64encode
from pathlib import Path
from random import Random

import pytest
import random_chains
from echo_upstream import EchoUpstream
from nginx_engine import NginxEngine, NotRenderedError
from ports import free_ports
from wire import Wire

from headgate.compile import explanation
from headgate.compile.routing import Question, Routing

CONFIGS = 10
REQUESTS = 120


@pytest.mark.parametrize("seed", range(CONFIGS))
def test_nginx_makes_of_a_request_what_the_core_does(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - to be had again
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, EchoUpstream() as upstream:
        file = Path(folder) / "headgate.toml"
        file.write_text(random_chains.config(random, f"127.0.0.1:{port}", upstream.address))
        with NginxEngine(file, Path(folder)) as nginx, Wire(port) as wire:
            assert nginx.loaded.plan is not None
            routing = Routing(nginx.loaded.plan)
            wrong = random_chains.disagreements(routing, wire, port, random, REQUESTS)
            assert not wrong, file.read_text() + "\n".join(wrong)


HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
NAMES = f'{{ basic_auth = {{ users = ["alice:{HASH}"], user_header = "x-user" }} }}'
"""Names its user, whose password is `x`."""

CHAINS = (
    (NAMES,),
    (NAMES, '{ request_headers.remove = ["x-user"] }'),
    (NAMES, '{ request_headers.set = { x-user = "nobody" } }'),
    (NAMES, '{ request_headers.add = { x-user = "more" } }'),
    ('{ request_headers.set = { x-user = "nobody" } }', NAMES),
    (NAMES, '{ request_headers.set = { x_user = "nobody" } }'),
)


def test_edits_of_the_chain_see_what_a_middleware_before_them_writes() -> None:
    (port,) = free_ports(1)
    known = {"authorization": f"Basic {b64encode(b'alice:x').decode()}", "x-user": "root"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in known.items())
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, EchoUpstream() as upstream:
        text = f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
        text += f'[upstreams.up]\nendpoints = ["{upstream.address}"]\n'
        for number, chain in enumerate(CHAINS):
            match = f'match = [{{ path = {{ prefix = "/{number}" }} }}]'
            middlewares = f"middlewares = [{', '.join(chain)}]"
            text += f'[routes.r{number}]\n{match}\n{middlewares}\nupstream = "up"\n'
        file = Path(folder) / "headgate.toml"
        file.write_text(text)
        with NginxEngine(file, Path(folder)) as nginx, Wire(port) as wire:
            assert nginx.loaded.plan is not None
            routing = Routing(nginx.loaded.plan)
            for number, chain in enumerate(CHAINS):
                question = Question(f"http://127.0.0.1:{port}/{number}", headers=dict(known))
                said = explanation.explain(routing, routing.request(question), lambda *_: "").won
                assert said is not None
                request = f"GET /{number} HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n"
                fields = json.loads(wire.ask(request.encode()).body)["fields"]
                got = [(name, value) for name, value in fields if name in ("x-user", "x_user")]
                wanted = [
                    (n, v.replace("BASIC-AUTH-USER", "alice")) for n, v in said.outcome.headers
                ]
                assert got == wanted, chain


def route(*middlewares: str) -> str:
    """A config with one route that has these middlewares."""
    return (
        '[listeners.web]\naddress = "127.0.0.1:8080"\ndefault = true\n'
        '[upstreams.up]\nendpoints = ["127.0.0.1:9"]\n'
        f'[routes.r]\nmiddlewares = [{", ".join(middlewares)}]\nupstream = "up"\n'
    )


@pytest.mark.parametrize("kind", ["rewrite", "redirect"])
def test_a_subject_is_refused_in_a_path_that_nginx_would_not_encode(
    tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "headgate.toml"
    file.write_text(route(f'{{ {kind} = {{ path = "/x${{client_subject}}" }} }}'))
    with pytest.raises(NotRenderedError, match="percent-encode"):
        NginxEngine(file, tmp_path)


def test_the_brackets_of_an_address_are_encoded_in_a_path() -> None:
    (port,) = free_ports(1)
    text = route('{ rewrite = { path = "/x${host}/${host}" } }')
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, EchoUpstream() as upstream:
        file = Path(folder) / "headgate.toml"
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{port}")
        file.write_text(text.replace("127.0.0.1:9", upstream.address))
        with NginxEngine(file, Path(folder)), Wire(port) as wire:
            for host, line in (
                ("[2001:DB8::1]:81", "GET /x%5B2001:db8::1%5D/%5B2001:db8::1%5D HTTP/1.1"),
                ("A.example:81", "GET /xa.example/a.example HTTP/1.1"),
            ):
                answer = wire.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert json.loads(answer.body)["line"] == line


@pytest.mark.parametrize(("path", "forwarded"), [("/api", "/"), ("/api/x", "/x"), ("/api/", "/")])
def test_a_path_that_a_rewrite_makes_empty_is_the_root(path: str, forwarded: str) -> None:
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="hg-") as folder, EchoUpstream() as upstream:
        rewrite = '[{ rewrite = { regex = "/api(/.*)?", with = "$1" } }]'
        text = f'[listeners.web]\naddress = "127.0.0.1:{port}"\ndefault = true\n'
        text += f'[routes.r]\nmiddlewares = {rewrite}\nupstream = "up"\n'
        file = Path(folder) / "headgate.toml"
        file.write_text(text + f'[upstreams.up]\nendpoints = ["{upstream.address}"]\n')
        with NginxEngine(file, Path(folder)), Wire(port) as wire:
            answer = wire.ask(f"GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n".encode())
            assert answer.status == 200
            assert json.loads(answer.body)["line"] == f"GET {forwarded} HTTP/1.1"

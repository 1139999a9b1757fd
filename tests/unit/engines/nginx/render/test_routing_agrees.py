"""What the core says of a request and what the real nginx does with it: the same, for thousands.

Every route answers with its name, so an answer tells which one nginx chose. All requests of a
config go over one connection, as far as it lives.
"""

import tempfile
from pathlib import Path
from random import Random

import pytest
import random_routes
from nginx_engine import NginxEngine
from ports import free_ports
from wire import Wire

from headgate.compile import explanation
from headgate.compile.routing import Question, Request, Routing

CONFIGS = 12
ROUTES = 14
REQUESTS = 300


def expected(routing: Routing, asked: random_routes.Asked) -> tuple[int, str]:
    """What the core says: 400 and 404 without a body, else 200 and the route."""
    path, mark, query = asked.target.partition("?")
    if "\\" in asked.target or "#" in asked.target:
        return 400, ""  # refused with the head, before a path is looked at
    named = routing.request(Question(f"http://{asked.host}/"))
    request = Request(
        listener="web",
        scheme="http",
        host=named.host,
        port=None,
        path=path,
        query=query if mark else None,
        method=asked.method,
        # As they are on the wire: a character of the core's is a byte there.
        headers=[(name, value) for name, value in asked.headers],
        client=asked.client,
    )
    said = explanation.explain(routing, request, lambda *_: "")
    if said.refused:
        return 400, ""
    return (200, said.won.route) if said.won is not None else (404, "")


@pytest.mark.parametrize("seed", range(CONFIGS))
def test_nginx_takes_the_route_that_explain_names(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - to be had again
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory(prefix="hg-") as folder:
        config = Path(folder) / "headgate.toml"
        config.write_text(random_routes.config(random, f"127.0.0.1:{port}", ROUTES))
        with NginxEngine(config, Path(folder)) as nginx, Wire(port) as wire:
            assert nginx.loaded.plan is not None
            routing = Routing(nginx.loaded.plan)
            wrong = []
            for _ in range(REQUESTS):
                asked = random_routes.request(random)
                answer = wire.ask(asked.bytes())
                got = (answer.status, answer.body.decode() if answer.status == 200 else "")
                wanted = expected(routing, asked)
                if got != wanted:
                    wrong.append(f"{asked}: nginx {got}, explain {wanted}")
            assert not wrong, "\n".join(wrong)

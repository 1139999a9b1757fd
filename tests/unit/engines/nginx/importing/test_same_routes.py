"""Imported routes take the requests that the real nginx gives to their locations."""

import http.client
import random
import subprocess
from collections.abc import Iterator
from pathlib import PurePath
from typing import NamedTuple

import pytest
from memory_files import MemoryFiles
from nginx_trees import tree_of
from peers import peer
from ports import free_port
from waiting import until

from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.engines.nginx.importing.headers import middleware
from headgate.engines.nginx.importing.imported import Imported
from headgate.engines.nginx.importing.objects import Table, items_in, table_in, to_toml
from headgate.engines.nginx.importing.recognise import import_tree

HOSTS = 120
PATHS = ["/", "/a", "/a/", "/ab", "/a/b", "/a/b/", "/a/bc", "/ab/c", "/a.b", "/a.b/c", "/axb", "/A"]
PATHS += ["/b", "/b/", "/bb/", "/a/b/c/d", "/.well-known/x", "/c"]
LOCATIONS = ["/", "/a", "/a/", "/ab", "/a/b", "/a/b/", "/a.b", "/b/", "/bb", "/.well-known/", "/c"]
CONFIG = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""


class Asked(NamedTuple):
    """A request and what nginx said: the location's number (empty if it named none), the status."""

    host: str
    path: str
    number: str
    status: int


def _servers(port: int, closed: int) -> str:
    chance = random.Random(7)  # noqa: S311 - the same sites each time
    return "\n".join(_server(f"h{index}.example", port, closed, chance) for index in range(HOSTS))


def _server(host: str, port: int, closed: int, chance: random.Random) -> str:
    locations = []
    for number, path in enumerate(chance.sample(LOCATIONS, chance.randint(1, 5))):
        modifier = chance.choice(["", "", "^~ ", "= "])
        action = chance.choice(["return 200 x;", f"proxy_pass http://127.0.0.1:{closed};"])
        header = f'add_header X-Location "{number}" always;'
        locations.append(f"location {modifier}{path} {{ {action} {header} }}")
    inside = " ".join(locations)
    return f"server {{ listen 127.0.0.1:{port}; server_name {host}; {inside} }}"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Imported, list[Asked]]]:
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    port, closed = free_port(), free_port()
    text = CONFIG.format(folder=folder, servers=_servers(port, closed))
    (folder / "nginx.conf").write_text(text)
    conf, log = folder / "nginx.conf", folder / "error.log"
    process = subprocess.Popen([peer("nginx"), "-c", conf, "-p", folder, "-e", log])
    try:
        until(lambda: _answers(port), "nginx answers")
        yield import_tree(tree_of(text)), _ask(port)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(port: int) -> bool:
    try:
        _ask_one(http.client.HTTPConnection("127.0.0.1", port, timeout=2), "h0.example", "/")
    except OSError:
        return False
    return True


def _ask(port: int) -> list[Asked]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    return [
        _ask_one(connection, f"h{index}.example", path) for index in range(HOSTS) for path in PATHS
    ]


def _ask_one(connection: http.client.HTTPConnection, host: str, path: str) -> Asked:
    connection.request("GET", path, headers={"Host": host})
    answer = connection.getresponse()
    answer.read()
    return Asked(host, path, answer.headers.get("X-Location", ""), answer.status)


def _number(route: Table) -> str:
    return str(table_in(middleware(route, "response_headers"), "add").get("x-location", ""))


def test_nginx_and_the_imported_routes_agree(asked: tuple[Imported, list[Asked]]) -> None:
    imported, answers = asked
    loaded = load([PurePath("x.toml")], MemoryFiles({"x.toml": to_toml(imported.objects)}), {})
    assert loaded.plan is not None, loaded.diagnostics
    routing = Routing(loaded.plan)
    routes = {item.name: item.table for item in imported.objects if item.section == "routes"}
    modelled = {(str(items_in(table, "hosts")[0]), _number(table)) for table in routes.values()}
    compared = redirected = 0
    for one in answers:
        if (one.host, one.number) not in modelled or not one.number:
            continue
        found = routing.find(routing.request(Question(f"http://{one.host}{one.path}")))
        assert found is not None, one
        route = routes[found.route]
        if one.status == 301:
            redirected += 1
            assert table_in(route, "redirect")["path"] == f"{one.path}/", one
        else:
            compared += 1
            assert _number(route) == one.number, (one, route)
    assert compared > HOSTS
    assert redirected > 0

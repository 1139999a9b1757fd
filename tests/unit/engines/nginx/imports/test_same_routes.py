"""Imported routes take the requests that the real nginx gives to their locations."""

import http.client
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import PurePath
from typing import NamedTuple

import pytest
from memory_files import MemoryFiles
from nginx_trees import tree_of
from peers import peer
from ports import free_port
from waiting import DEADLINE_S, until

from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.engines.nginx.imports.headers import middleware
from headgate.engines.nginx.imports.imported import Imported
from headgate.engines.nginx.imports.objects import Table, items_in, table_in, to_toml
from headgate.engines.nginx.imports.recognise import import_tree

HOSTS = 160
PATHS = ["/", "/a", "/a/", "/ab", "/a/b", "/a/b/", "/a/bc", "/ab/c", "/a.b", "/a.b/c", "/axb", "/A"]
PATHS += ["/b", "/b/", "/bb/", "/a/b/c/d", "/.well-known/x", "/c", "/a%2Fb", "/%61/b", "/x%3By"]
PATHS += [
    "/x;y",
    "/a%20b",
    "/x%0A",
    "/x.PHP",
    "/x.php",
    "/a/x.php",
    "/x%3b",
    "/3b",
    "/%F0%9F%98%80/c",
]
PATHS += ["/a;b", "/a;bc", "/a%3Bb", "/x:y", "/a/x:y", "/a/x%3Ay/z"]
LOCATIONS = ["/", "/a", "/a/", "/ab", "/a/b", "/a/b/", "/a.b", "/b/", "/bb", "/.well-known/", "/c"]
SPECIAL = ["/a;b", "/x:y", "/a/x:y"]
"""Paths with characters that nginx and headgate compare differently."""

EXPRESSIONS = [r"\.php$", r"^/a", r"/[b-c]$", r"^/(a|b)/", r"^/[^/]+/b", r"x.y", "3B", r"b\b"]
EXPRESSIONS += [
    r"^/a/(?!b)",
    r"^/.{2}$",
    r"\w/\w",
    r"^/[^a-b;]",
    r"(?i)^/A",
    r" b",
    r"x\z",
    r"^/x\Z",
]
ACTIONS = ["return 200 x;", "proxy_pass http://127.0.0.1:{closed};", "deny all; root /srv;"]
ACTIONS += ["internal; root /srv;", "deny all; return 204; fastcgi_pass 127.0.0.1:{closed};"]
ACTIONS += ["allow 127.0.0.1; deny all; proxy_pass http://127.0.0.1:{closed};"]
ACTIONS += ["deny 127.0.0.0/8; proxy_pass http://127.0.0.1:{closed};"]
ACTIONS += ["allow 10.0.0.0/8; deny all; proxy_pass http://127.0.0.1:{closed};"]
NESTED = 0.1
"""The share of prefix locations that hold others."""

WITH_SPECIAL = 0.25
"""The share of servers with such a path."""

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
    found = [
        (chance.choice(["", "", "^~ ", "= "]), path)
        for path in chance.sample(LOCATIONS, chance.randint(1, 5))
    ]
    if chance.random() < WITH_SPECIAL:
        found.append((chance.choice(["", "^~ ", "= ", "= "]), chance.choice(SPECIAL)))
    if chance.random() < 0.5:
        count = chance.randint(1, 3)
        found += [(chance.choice(["~ ", "~* "]), one) for one in chance.sample(EXPRESSIONS, count)]
    locations = []
    for number, (modifier, path) in enumerate(found):
        within = ""
        if modifier in ("", "^~ ") and chance.random() < NESTED:
            within = _within(path, str(number), closed, chance)
        locations.append(_location(f'{modifier}"{path}"', str(number), within, closed, chance))
    inside = " ".join(locations)
    return f"server {{ listen 127.0.0.1:{port}; server_name {host}; {inside} }}"


def _within(path: str, number: str, closed: int, chance: random.Random) -> str:
    """Locations for the inside of a prefix location."""
    below = [one for one in LOCATIONS if one.startswith(path) and one != path]
    heads = [f'~ "{one}"' for one in chance.sample(EXPRESSIONS, 2)]
    heads += [f'{chance.choice(["", "^~ ", "= "])}"{one}"' for one in below]
    chosen = chance.sample(heads, chance.randint(1, min(2, len(heads))))
    return " ".join(
        _location(head, f"{number}.{at}", "", closed, chance) for at, head in enumerate(chosen)
    )


def _location(head: str, number: str, within: str, closed: int, chance: random.Random) -> str:
    action = chance.choice([*ACTIONS[:2], *ACTIONS]).format(closed=closed)
    return f'location {head} {{ {action} add_header X-Location "{number}" always; {within} }}'


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
        process.wait(timeout=DEADLINE_S)


def _answers(port: int) -> bool:
    try:
        _ask_one(
            http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S), "h0.example", "/"
        )
    except OSError:
        return False
    return True


def _ask(port: int) -> list[Asked]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
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


def _status(route: Table) -> int:
    """What the route answers while its upstream is closed."""
    if not _lets_in(middleware(route, "ip_access")):
        return 403
    if "redirect" in route:
        return int(str(table_in(route, "redirect")["status"]))
    return 502 if "upstream" in route else int(str(table_in(route, "respond")["status"]))


def _lets_in(access: Table) -> bool:
    """Whether `ip_access` lets in this host."""

    def has(key: str) -> bool:
        return any(ip_address("127.0.0.1") in ip_network(str(one)) for one in items_in(access, key))

    return not has("deny") and (not items_in(access, "allow") or has("allow"))


def test_nginx_and_the_imported_routes_agree(asked: tuple[Imported, list[Asked]]) -> None:
    imported, answers = asked
    loaded = load([PurePath("x.toml")], MemoryFiles({"x.toml": to_toml(imported.objects)}), {})
    assert loaded.plan is not None, loaded.diagnostics
    routing = Routing(loaded.plan)
    routes = {item.name: item.table for item in imported.objects if item.section == "routes"}
    modelled = {(str(items_in(table, "hosts")[0]), _number(table)) for table in routes.values()}
    compared: Counter[object] = Counter()
    for one in answers:
        found = routing.find(routing.request(Question(f"http://{one.host}{one.path}")))
        assert found is not None, one
        route = routes[found.route]
        if "not_imported" in route:
            compared["refused"] += 1
            compared["wider"] += bool(one.number) and (one.host, one.number) in modelled
            continue
        assert _status(route) == one.status, (one, route)
        assert _number(route) == one.number or one.status == 301, (one, route)
        compared[one.status] += 1
        compared["regex"] += "regex" in str(route.get("match"))
    assert compared["regex"] > HOSTS
    assert compared["refused"] < len(answers) * 2 / 3
    assert compared["wider"] < len(answers) / 10
    assert all(compared[status] > 0 for status in (200, 204, 301, 403, 404, 502)), compared

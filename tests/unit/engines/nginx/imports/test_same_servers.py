"""Imported servers get the hosts that the real nginx gives them."""

import http.client
import random
from collections import Counter
from pathlib import PurePath

import pytest
from imported_beside import served
from memory_files import MemoryFiles
from nginx_trees import tree_of
from ports import free_port
from waiting import DEADLINE_S, until

from headgate.compile.load import load
from headgate.compile.routing import Question, Routing
from headgate.engines.nginx.imports.objects import Table, table_in, to_toml
from headgate.engines.nginx.imports.recognise import import_tree

GROUPS = 60
"""Each is some servers on two addresses of their own."""

NAMES = ["b.example", "*.b.example", ".b.example", "B.example", "x.b.example", ".x.b.example"]
NAMES += ["*.x.b.example", "_", "*.example", ".c.example"]
HOSTS = ["b.example", "x.b.example", "y.x.b.example", "z.b.example", "c.example", "d.c.example"]
HOSTS += ["none.test"]
CONFIG = """
daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""


def _addresses(group: int, port: int) -> list[str]:
    return [f"127.0.{half}.{group + 1}:{port}" for half in (1, 2)]


def _group(group: int, port: int, chance: random.Random) -> str:
    addresses = _addresses(group, port)
    servers = []
    for number in range(chance.randint(2, 5)):
        listens = " ".join(
            f"listen {one};" for one in chance.sample(addresses, chance.choice([1, 2]))
        )
        names = " ".join(chance.sample(NAMES, chance.randint(1, 3)))
        path = chance.choice(["/2", "/3", "/default", "/2-default"])
        locations = f'location / {{ return 200 "{number}"; }} location {path} {{ return 204; }}'
        servers.append(f"server {{ {listens} server_name {names}; {locations} }}")
    both = " ".join(f"listen {one};" for one in addresses)
    first = f"server {{ {both} return 200 first; }}"
    return "\n".join([first, *servers])


def _ask(address: str, host: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=DEADLINE_S)
    connection.request("GET", "/", headers={"Host": host})
    return connection.getresponse().read().decode()


def _is_served(address: str) -> bool:
    try:
        _ask(address, "")
    except OSError:
        return False
    return True


def _body(route: Table) -> str:
    return str(table_in(route, "respond").get("body", ""))


def test_nginx_and_the_imported_servers_agree(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    port, chance = free_port(), random.Random(5)  # noqa: S311 - the same servers each time
    servers = "\n".join(_group(group, port, chance) for group in range(GROUPS))
    text = CONFIG.format(folder=folder, servers=servers)
    one = import_tree(tree_of(text))
    loaded = load([PurePath("x.toml")], MemoryFiles({"x.toml": to_toml(one.objects)}), {})
    assert loaded.plan is not None, loaded.diagnostics
    routing = Routing(loaded.plan)
    routes = {item.name: item.table for item in one.objects if item.section == "routes"}
    listeners = {
        item.table["address"]: item.name for item in one.objects if item.section == "listeners"
    }
    compared: Counter[str] = Counter()
    with served(folder, text):
        until(lambda: _is_served(_addresses(0, port)[0]), "nginx answers")
        for group in range(GROUPS):
            for address in _addresses(group, port):
                for host in HOSTS:
                    there = _ask(address, host)
                    asked = Question(f"http://{host}/", listener=listeners[address])
                    found = routing.find(routing.request(asked))
                    assert found is not None
                    assert _body(routes[found.route]) == there, (address, host, text)
                    compared[there] += 1
    assert all(compared[body] > GROUPS for body in ("first", "0", "1")), compared

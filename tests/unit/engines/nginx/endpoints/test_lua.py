"""What nginx itself takes for endpoints: no text becomes Lua, nothing is set without the key."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lua_nginx import answer_all, takes_lua
from nginx_engine import NginxEngine
from ports import free_port
from running_node import Upstream, config, get
from waiting import DEADLINE_S

from headgate.engines.nginx.endpoints import socket as table_socket
from headgate.engines.nginx.endpoints.kept import Kept, KeptFile
from headgate.engines.nginx.endpoints.socket import NotPushedError

KEY = "0123456789abcdef" * 2
NAME = "]]}os.exit()--[[$hg_dollar\\"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def lua(port: int) -> Iterator[NginxEngine]:
    """An nginx that begins with one upstream, of an odd name, without endpoints."""
    takes_lua()
    with tempfile.TemporaryDirectory(prefix="hg-") as path:
        root = Path(path)
        file = root / "config.toml"
        text = config(port, "127.0.0.1:1").replace('"app"', f"'{NAME}'")
        text = text.replace("[upstreams.app]", f"[upstreams.'{NAME}']") + 'balance = "random"\n'
        file.write_text(text)
        nginx = NginxEngine(file, root, "lua")
        release = root / "releases/1"
        release.parent.mkdir()
        nginx.folder.rename(release)
        nginx.folder.symlink_to("releases/1")
        KeptFile(root).write(Kept(KEY, {NAME: ()}))
        with nginx as running:
            yield running


def put(nginx: NginxEngine, body: bytes, key: str = KEY) -> int:
    """The status of a PUT with just these bytes."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(DEADLINE_S)
        link.connect(nginx.target.status_socket)
        head = f"PUT /endpoints HTTP/1.0\r\nHG-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
        link.sendall(head.encode() + body)
        return int(link.recv(100).split()[1])


def test_any_name_is_data(lua: NginxEngine, port: int) -> None:
    where = lua.target.status_socket
    assert table_socket.read(where) == {NAME: ()}
    assert get(port)[0] == 503
    upstream = Upstream("one")
    table_socket.write(where, {NAME: (f"1 0 {upstream.address}",)}, KEY)
    assert get(port) == (200, b"one")
    upstream.close()


def test_without_the_key_nothing_is_set(lua: NginxEngine) -> None:
    where = lua.target.status_socket
    for key in ("", "0" * 32, KEY[:-1], KEY + "0"):
        with pytest.raises(NotPushedError, match="403"):
            table_socket.write(where, {NAME: ("1 0 127.0.0.1:80",)}, key)
    assert table_socket.read(where) == {NAME: ()}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "1 0 127.0.0.1:80\n",
        "upstream a\nupstream b\n",
        "upstream app\n1 0 127.0.0.1:80",
        "upstream app\n1 0 127.0.0.1\n",
        "upstream app\n1 0 127.0.0.1:0\n",
        "upstream app\n1 0 127.0.0.1:65536\n",
        "upstream app\n0 0 127.0.0.1:80\n",
        "upstream app\n1 2 127.0.0.1:80\n",
        "upstream app\n1 0 app.internal:80\n",
        'upstream app\n1 0 127.0.0.1:80" } os.exit() --\n',
        "upstream app\n1 0 unix:relative\n",
        "upstream app\n1 0 [::1\n",
        "upstream app\n9999999999 0 127.0.0.1:80\n",
        "upstream app\0\n",
        "upstream app\n" + "1 0 127.0.0.1:80\n" * 10_001,
    ],
)
def test_nginx_itself_refuses_what_is_no_table(lua: NginxEngine, body: str) -> None:
    before = table_socket.read(lua.target.status_socket)
    assert put(lua, body.encode()) == 400
    assert table_socket.read(lua.target.status_socket) == before == {NAME: ()}


def test_chance_keeps_to_weights_and_all_kinds_of_addresses_are_reached(
    lua: NginxEngine, port: int
) -> None:
    servers = [
        socket.create_server(("::1", 0), family=socket.AF_INET6),
        socket.socket(socket.AF_UNIX),
    ]
    path = f"{lua.root}/up.sock"
    servers[1].bind(path)
    servers[1].listen()
    for server, name in zip(servers, (b"six", b"nix"), strict=True):
        threading.Thread(target=answer_all, args=(server, name), daemon=True).start()
    six = f"3 0 [::1]:{servers[0].getsockname()[1]}"
    table_socket.write(lua.target.status_socket, {NAME: (six, f"1 0 unix:{path}")}, KEY)
    found = [get(port)[1] for _ in range(200)]
    for server in servers:
        server.close()
    assert set(found) == {b"six", b"nix"}
    assert 120 <= found.count(b"six") <= 180

"""HAProxy and nginx on configs of a test, to speak the PROXY protocol with."""

import http.client
import os
import signal
import socket
import subprocess
from pathlib import Path
from typing import Literal, Self

from cut_off import heard
from nginx_engine import stream_capabilities
from peers import peer
from waiting import DEADLINE_S, until

from headgate.engines.nginx.capabilities.probe import loads

HAPROXY = """
global
    maxconn 100
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
{body}
"""
NGINX = """
{modules}
daemon off;
pid {root}/nginx.pid;
error_log stderr;
worker_processes 1;
{user}
events {{ worker_connections 64; }}
{block} {{
    {settings}
    {body}
}}
"""

OF_HTTP = """
    access_log off;
    client_body_temp_path {root};
    proxy_temp_path {root};
    fastcgi_temp_path {root};
    uwsgi_temp_path {root};
    scgi_temp_path {root};
"""


class _Program:
    """A program that listens on a port until the block ends."""

    def __init__(self, command: list[str], port: int, log: Path) -> None:
        self._log = log
        self._port = port
        with log.open("wb") as to:
            self._process = subprocess.Popen(command, stdout=to, stderr=to)

    def __enter__(self) -> Self:
        try:
            until(self._listens, "the program listens")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listens(self) -> bool:
        assert self._process.poll() is None, self._log.read_text(errors="replace")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def haproxy(folder: Path, port: int, body: str) -> _Program:
    """HAProxy with these sections, one of which listens on the port."""
    file = folder / f"haproxy-{port}.cfg"
    file.write_text(HAPROXY.format(body=body))
    command = [str(peer("haproxy")), "-db", "-f", str(file)]
    return _Program(command, port, file.with_suffix(".log"))


def nginx(
    folder: Path, port: int, body: str, *, block: Literal["http", "stream"] = "http"
) -> _Program:
    """nginx with these lines in a block, of which a server listens on the port."""
    root = folder / f"nginx-{port}"
    root.mkdir()
    file = root / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    is_http = block == "http"
    found = () if is_http else loads(stream_capabilities(), ("stream",))
    modules = "".join(f"load_module {path};\n" for path in found)
    settings = OF_HTTP.format(root=root) if is_http else ""
    file.write_text(
        NGINX.format(
            root=root, user=user, modules=modules, block=block, settings=settings, body=body
        )
    )
    command = [str(peer("nginx")), "-p", str(root), "-c", str(file)]
    return _Program(command, port, root / "log")


def get_from(source: str, port: int, **headers: str) -> tuple[int, str]:
    """A request from an address of this machine: (status, body)."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=DEADLINE_S, source_address=(source, 0)
    )
    try:
        connection.request("GET", "/", headers={"host": "a.example", **headers})
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def refused(port: int, data: bytes, source: str = "127.0.0.1") -> bool:
    """Whether a connection that sends this is ended without an answer."""
    return heard(port, data, source=source) == b""

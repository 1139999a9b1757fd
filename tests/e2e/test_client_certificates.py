"""Who a client is by its certificate: let in, told to routes and answers, logged, revoked."""

import socket
import ssl
from collections import Counter
from pathlib import Path

import pytest
from access_log import AccessLog
from nginx_engine import NginxEngine
from ports import free_port
from running_node import RunningNode
from tls_authority import Authority, Pair
from tls_client import trusting
from waiting import DEADLINE_S

CONFIG = """
[node]
access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}

[listeners.secure]
address = "127.0.0.1:{port}"
default = true
tls = {{ default_certificate = "main" }}

[tls_policies.staff]
client_auth = {{ ca_file = "{ca}", crl_file = "{crl}" }}

[hosts."staff.example"]
certificate = "main"
tls_policy = "staff"
middlewares = [{{ response_headers = {{ set = {{ who = "<${{client_subject}}>" }} }} }}]

[routes.alice]
hosts = ["staff.example"]
match = [{{ client_subject = {{ exact = "CN=alice" }} }}]
respond = {{ body = "for alice" }}

[routes.others]
hosts = ["staff.example"]
respond = {{ body = "for others" }}

[routes.open]
hosts = ["open.example"]
match = [{{ client_subject = {{ absent = true }} }}]
respond = {{ body = "open" }}

"""
CLAIMS = "X-SSL-Client-S-DN: CN=alice\r\nX-Client-Cert: x\r\n"


class World:
    """An authority, a server's pair, two clients and the config of them all."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.alice = self.authority.issue("alice", "alice")
        self.bob = self.authority.issue("bob", "bob")
        self.port = free_port()
        self.log = AccessLog(folder / "access.log")
        main = self.authority.issue("main", "staff.example", "open.example")
        values = {"ca": self.authority.ca_file, "crl": self.authority.revocations()}
        self.text = CONFIG.format(folder=folder, port=self.port, **values) + main.toml("main")

    def ask(self, identity: Pair | None, name: str = "staff.example") -> tuple[str, str]:
        """The header `who` and the body of an answer; `refused` twice where there is none."""
        context = trusting(self.authority.ca_file, identity=identity)
        request = f"GET / HTTP/1.1\r\nHost: {name}\r\n{CLAIMS}Connection: close\r\n\r\n"
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), DEADLINE_S) as plain,
                context.wrap_socket(plain, server_hostname=name) as wrapped,
            ):
                wrapped.sendall(request.encode())
                answer = b""
                while got := wrapped.recv(1 << 16):
                    answer += got
        except (ssl.SSLError, ConnectionError):
            return "refused", "refused"
        head, _, body = answer.decode().partition("\r\n\r\n")
        if not head.startswith("HTTP/1.1 200"):
            return "refused", "refused"
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
        return lines.get("who", ""), body

    def check(self) -> None:
        """Everybody is who the certificate says, and nobody without one."""
        assert self.ask(self.alice) == ("<CN=alice>", "for alice")
        assert self.ask(self.bob) == ("<CN=bob>", "for others")
        assert self.ask(None) == ("refused", "refused")
        assert self.ask(None, "open.example") == ("", "open")


def test_a_node_knows_its_clients_and_a_new_revocation_list_counts_at_once(folder: Path) -> None:
    world = World(folder)
    with RunningNode(folder, world.text, "--no-watch") as node:
        node.until_ready()
        world.check()
        # Workers write their lines each for itself.
        wanted = Counter(["CN=alice", "CN=bob", None])
        lines = world.log.lines(wanted.total())
        assert Counter(line.get("client_subject") for line in lines) == wanted
        world.authority.revocations(world.alice)
        assert node.admin("POST", "/reload")[0] == 200
        assert world.ask(world.alice) == ("refused", "refused")
        assert world.ask(world.bob) == ("<CN=bob>", "for others")


@pytest.mark.parametrize("is_revoked", [False, True], ids=["valid", "revoked"])
def test_nginx_knows_its_clients(folder: Path, is_revoked: bool) -> None:
    world = World(folder)
    if is_revoked:
        world.authority.revocations(world.alice)
    (folder / "headgate.toml").write_text(world.text)
    with NginxEngine(folder / "headgate.toml", folder):
        if is_revoked:
            assert world.ask(world.alice) == ("refused", "refused")
            assert world.ask(world.bob) == ("<CN=bob>", "for others")
        else:
            world.check()
            for subject in ("CN=alice", "CN=bob"):
                world.log.line(client_subject=subject)

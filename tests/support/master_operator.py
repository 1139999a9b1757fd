"""Somebody who uses the REST API of a master process: sets it up, writes a config, asks."""

import ssl
from typing import Any

from master_process import MasterProcess, call

W = "/api/v1/workspaces/default"


class Operator:
    """Somebody who uses the REST API over the fleet's TLS."""

    def __init__(self, one: MasterProcess) -> None:
        self.base, token = one.link()
        # Before anything is trusted: the authority, as a node gets it.
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        body = {"token": token, "name": "ann", "password": "correct horse battery"}
        self.token = str(self.ask("/api/v1/auth/setup", body)["access_token"])

    def ask(self, path: str, body: object = None, method: str | None = None) -> Any:
        """One request."""
        token = getattr(self, "token", "")
        return call(f"{self.base}{path}", body, token, self.context, method)

    def agent(self) -> dict[str, Any]:
        """The only agent; empty before it enrolled."""
        items = self.ask(f"{W}/agents")["items"]
        return dict(items[0]) if items else {}


def put(person: Operator, port: int, upstream: str) -> None:
    """Makes the resources of a config."""
    for path, spec in (
        ("listeners/web", {"address": f"127.0.0.1:{port}", "default": True}),
        ("routes/all", {"upstream": "app"}),
        ("upstreams/app", {"endpoints": [upstream]}),
    ):
        person.ask(f"{W}/resources/{path}", {"spec": spec}, "PUT")

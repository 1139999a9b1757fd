"""The work of the first start of `headgate up` at its new master, as a client of the REST API."""

import os
import re
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from headgate.cli.remote import client, contexts
from headgate.cli.remote.contexts import Context

FLEET: Final = "local"
CONTEXT: Final = "up"
_WORKSPACE: Final = "/workspaces/default"
_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Opened:
    """A master that was set up: how to ask it, and the link by which a person becomes its
    administrator."""

    master: client.Master
    link: str


def setup_token(said: str) -> str:
    """Returns the token of the set-up link that a master printed; empty without one.

    >>> setup_token("once:\\n  https://127.0.0.1:8080/setup#hgs_x\\n")
    'hgs_x'
    """
    found = re.search(r"/setup#(\S+)", said)
    return found[1] if found else ""


def keep_authority(url: str, file: Path) -> None:
    """Writes the fleet's CA into a file. The master that answers is a child of ours at a loopback
    port that it could bind, so there is nobody else to be verified, and no proxy is asked."""
    place = f"{url}/api/v1/enrolment/authorities"
    answer = httpx2.get(place, verify=False, trust_env=False, timeout=_TIMEOUT_S)
    answer.raise_for_status()
    file.write_bytes(answer.content)


def set_up(url: str, token: str, authority: Path) -> Opened:
    """Makes the first administrator with a password that nobody knows, logs the caller in as it
    (context `up`), and invites the user `admin`. Raises MasterError."""
    empty = Context(url, "", workspace="default", authority=str(authority))
    body = {"token": token, "name": CONTEXT, "password": secrets.token_urlsafe(32)}
    trust = ssl.create_default_context(cafile=authority)
    place = f"{url}/api/v1/auth/setup"
    answer = httpx2.post(place, json=body, verify=trust, trust_env=False, timeout=_TIMEOUT_S)
    if answer.is_error:
        raise client.refusal(answer)
    found = client.with_tokens(empty, client.decoded(answer))
    contexts.change(contexts.place(os.environ), lambda known: known.holding(CONTEXT, found))
    master = client.Master(found, name=CONTEXT)
    invited = master.ask("POST", "/users", {"name": "admin", "role": "admin"})
    return Opened(master, f"{url}/setup#{invited['setup_token']}")


def write_config(master: client.Master, proxy: str, upstreams: Mapping[str, int]) -> str:
    """Writes the demo's resources and a fleet; returns a join token for it."""
    endpoints = [f"127.0.0.1:{port}" for port in upstreams.values()]
    for path, spec in (
        ("listeners/web", {"address": proxy, "default": True}),
        ("upstreams/app", {"endpoints": endpoints}),
        ("routes/all", {"upstream": "app"}),
    ):
        master.ask("PUT", f"{_WORKSPACE}/resources/{path}", {"spec": spec})
    master.ask("POST", f"{_WORKSPACE}/fleets", {"name": FLEET})
    made = master.ask("POST", f"{_WORKSPACE}/join-tokens", {"fleet": FLEET})
    return str(made["token"])


def publish(master: client.Master) -> None:
    """Publishes the workspace's resources to the fleet."""
    master.ask("POST", f"{_WORKSPACE}/revisions", {"fleet": FLEET})

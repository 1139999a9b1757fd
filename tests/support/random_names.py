"""Random TLS listeners with hosts and certificates, and what to ask of them: the name in the
handshake (SNI) and the host of the request, which may differ."""

import ssl
from pathlib import Path
from random import Random
from typing import NamedTuple

from tls_authority import Authority
from tls_client import ask, nameless, trusting

from headgate.compile.explanation import explain
from headgate.compile.routing import Question, Routing

HOSTS = ["a.example", "b.example", "c.a.example", "*.a.example", "*.b.example", "xn--mnchen-3ya.de"]
GUARDED = HOSTS[1:3]
"""Those that may require a certificate: a handshake for them ends with an alert, as the client has
none, and a request for them over the connection of another host is misdirected."""
ASKED = [
    *(*HOSTS[:3], "d.a.example", "e.d.a.example", "A.EXAMPLE", "z.example", HOSTS[-1]),
    *("fallback.example", "x.fallback.example", "y.x.fallback.example"),
]


Outcome = tuple[int, str]
"""The status, 0 for a handshake that fails, and the route."""


class Asked(NamedTuple):
    """The name of a handshake, None for none, and the host of the request."""

    sni: str | None
    host: str


def config(random: Random, folder: Path, address: str) -> str:
    """A listener, some hosts with a certificate each, some of which ask clients for theirs, and a
    route for each host that answers with its name."""
    authority = Authority(folder)
    tls = []
    if random.random() < 0.5:
        tls.append('default_certificate = "fallback"')
        if random.random() < 0.5:
            tls.append('unknown_sni = "default"')
    hosts = random.sample(HOSTS, random.randint(1, 4))
    text = f'[listeners.web]\naddress = "{address}"\ndefault = true\n'
    text += f"tls = {{ {', '.join(tls)} }}\n"
    text += f'[tls_policies.guarded]\nclient_auth = {{ ca_file = "{authority.ca_file}" }}\n'
    text += authority.issue("fallback", "fallback.example", "*.fallback.example").toml("fallback")
    text += '[routes.all]\nrespond = { body = "all" }\n'
    for number, host in enumerate(hosts):
        name = f"c{number}"
        is_guarded = host in GUARDED and random.random() < 0.5
        guarded = 'tls_policy = "guarded"\n' if is_guarded else ""
        text += authority.issue(name, host).toml(name)
        text += f'[hosts."{host}"]\ncertificate = "{name}"\n{guarded}'
        text += f'[routes.r{number}]\nhosts = ["{host}"]\nrespond = {{ body = "r{number}" }}\n'
    if random.random() < 0.3:
        text += authority.issue("any", "any.example").toml("any")
        text += '[hosts."*"]\ncertificate = "any"\n'
    return text


def disagreements(
    routing: Routing, port: int, folder: Path, random: Random, requests: int, *, nginx: bool = False
) -> list[str]:
    """A line for each of so many requests that the engine treats otherwise than explain says. The
    client has no certificate. nginx may say that with 400, as the docs do, where 421 is due."""
    names = ASKED
    if nginx:  # it ends no handshake for want of a certificate, and says 400 then
        text = {str(one.key.name): one.canonical for one in routing.plan.objects.values()}
        names = [name for name in ASKED if b"guarded" not in text.get(name, b"")]
    context = nameless(trusting(folder / "test-authority.pem"))
    context.verify_mode = ssl.CERT_NONE
    wrong = []
    for _ in range(requests):
        asked = _asked(random, names)
        said, done = _foretold(routing, port, asked), _observed(context, port, asked)
        if said != done and not (nginx and (said[0], done[0]) == (421, 400)):
            wrong.append(f"{asked}: served {done}, explain {said}")
    return wrong


def _asked(random: Random, names: list[str]) -> Asked:
    """A handshake for one of these names and a request; half of them for the same name."""
    sni = random.choice([*names, None])
    host = sni if sni and random.random() < 0.5 else random.choice(ASKED)
    return Asked(sni, host)


def _foretold(routing: Routing, port: int, asked: Asked) -> Outcome:
    url = f"https://{asked.sni or '127.0.0.1'}:{port}/"
    question = Question(url, headers={"host": asked.host}, listener="web")
    found = explain(routing, routing.request(question), lambda *_: "")
    return found.status or 0, found.won.route if found.won else ""


def _observed(context: ssl.SSLContext, port: int, asked: Asked) -> Outcome:
    try:
        seen = ask(port, asked.sni, context, asked.host)
    except (ssl.SSLError, ConnectionError):
        return 0, ""
    return seen.status, seen.body.decode() if seen.status == 200 else ""

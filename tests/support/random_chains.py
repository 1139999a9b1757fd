"""Random chains of middlewares, and whether an engine makes of requests what explain says."""

import json
from base64 import b64encode
from random import Random

import random_routes
from wire import Answer, Wire

from headgate.compile import explanation
from headgate.compile.explanation import Outcome
from headgate.compile.routing import Question, Routing

PREFIXES = ("/a", "/v1", "/a/b", "/")
REWRITES = (
    'strip_prefix = "/a"',
    'strip_prefix = "/v1"',
    'prefix = "/new"',
    'prefix = "/"',
    'path = "/x${path}"',
    'path = "/$$h/${host}/${method}/"',
    'path = "/fixed"',
    'regex = "/(?P<host>[^/]+)/(.*)", with = "/g/$2/${host}"',
    'regex = "/a(.*)", with = "/r/$1/"',
    'regex = "/v1/?(\\\\d*)", with = "/n$$/$1$0"',
    'host = "up.example:81"',
    'host = "${header:x-tenant}.example"',
    'strip_prefix = "/a", host = "h-${port}.example"',
)
REDIRECTS = (
    'scheme = "https"',
    'scheme = "https", port = 8443',
    'host = "www.${host}"',
    'host = "a.example"',
    'prefix = "/moved"',
    'path = "/p${path}"',
    "port = 443, status = 302",
    'scheme = "http", host = "a.example", port = 80',
)
EDITS = (
    'set = { x-a = "<${header:x-a}|${client_ip}>" }',
    'add = { x-a = "more ${method}" }',
    'remove = ["x-a", "x-up"]',
    'set = { x-new = "${route}/${listener} $$ \\"q\\" {;} \\\\ ${target}" }',
    'set = { x-up = "${scheme} ${query}" }, add = { x-up = "b" }',
    'set = { x-forwarded-for = "hidden" }, remove = ["x-real-ip"]',
)
NETWORKS = ("127.0.0.0/8", "127.0.0.1", "0.0.0.0/0", "::/0", *random_routes.NETWORKS)
#: Of the password `x`, with the least cost.
HASH = "$2b$04$0e856lVe4ANgjk9VYQGbvufRaupb9zxuOKCW5n9uFCwbWH9pMRuYW"
USER = "alice"
CREDENTIALS = (f"{USER}:x", f"{USER}:x", f"{USER}:y", "bob:x", "alice", "")
ACCESS = 0.4
"""The share of routes with an endpoint and no redirect that have a middleware of access."""
TRUSTING = 0.5
"""The share of configs that believe what a peer says of its client."""
OF_STATUSES = 0.15
"""The share of edits that are of some statuses alone."""


def config(random: Random, address: str, upstream: str) -> str:
    """Routes by prefix with random chains, and a host with a chain of its own."""
    trusted = 'client_ip = { trusted = ["127.0.0.0/8"] }\n' if random.random() < TRUSTING else ""
    text = [
        f'[listeners.web]\naddress = "{address}"\ndefault = true\n{trusted}',
        f'[upstreams.up]\nendpoints = ["{upstream}"]\n',
        f'[hosts."a.example"]\nmiddlewares = [{_edits(random)}]\n',
    ]
    for number, prefix in enumerate(PREFIXES):
        chain = [_middleware(random) for _ in range(random.randint(0, 3))]
        action = random.choice(
            (
                *(['upstream = "up"'] * 3),
                'respond = { status = 404, body = "${path}\\n$$", headers = { x-r = "${host}" } }',
                "respond = { status = 410 }",
                f"redirect = {{ {random.choice(REDIRECTS)} }}",
            )
        )
        if action == 'upstream = "up"' and not any("redirect" in one for one in chain):
            chain = _with_access(random, chain)
        match = f'{{ path = {{ prefix = "{prefix}" }} }}'
        text.append(
            f'[routes.r{number}]\nhosts = ["a.example", "*"]\nmatch = [{match}]\n'
            f"middlewares = [{', '.join(chain)}]\n{action}\n"
        )
    return "\n".join(text)


def _middleware(random: Random) -> str:
    kind = random.choice(("rewrite", "rewrite", "redirect", "edits", "edits"))
    if kind == "rewrite":
        return f"{{ rewrite = {{ {random.choice(REWRITES)} }} }}"
    if kind == "redirect":
        return f"{{ redirect = {{ {random.choice(REDIRECTS)} }} }}"
    return _edits(random)


def _with_access(random: Random, chain: list[str]) -> list[str]:
    """The same with middlewares of access, in the order that nginx has."""
    access = []
    if random.random() < ACCESS:
        key = random.choice(("allow", "deny"))
        networks = json.dumps(random.sample(NETWORKS, random.choice((1, 2))))
        access.append(f"{{ ip_access = {{ {key} = {networks} }} }}")
    if random.random() < ACCESS:
        named = random.choice(("", ', user_header = "x-user"'))
        access.append(f'{{ basic_auth = {{ users = ["{USER}:{HASH}"]{named} }} }}')
    places = sorted(random.randint(0, len(chain)) for _ in access)
    for place, one in reversed(list(zip(places, access, strict=True))):
        chain = [*chain[:place], one, *chain[place:]]
    return chain


def _edits(random: Random) -> str:
    if random.random() < OF_STATUSES:
        statuses = random.choice(('"2xx"', '404, "300-302"', '"4xx", 200'))
        edits = f'add = {{ x-a = "some ${{method}}" }}, statuses = [{statuses}]'
        return f"{{ response_headers = {{ {edits} }} }}"
    way = random.choice(("request_headers", "response_headers"))
    return f"{{ {way} = {{ {random.choice(EDITS)} }} }}"


def disagreements(
    routing: Routing, wire: Wire, port: int, random: Random, requests: int
) -> list[str]:
    """A line for each of so many requests that the engine at a port treats otherwise than explain
    says; what docs/reference/matching.md says of nginx is not asked.
    """
    wrong = []
    for _ in range(requests):
        asked = random_routes.request(random)
        if not asked.target.startswith("/") or set(asked.target) & set("\\#"):
            continue
        if asked.host.startswith("[::1].") or asked.method == "TRACE":
            continue
        credentials = random.choice((None, *CREDENTIALS))
        asked = asked._replace(target=_query_encoded(asked.target))
        if credentials is not None:
            basic = ("authorization", f"Basic {b64encode(credentials.encode()).decode()}")
            asked = asked._replace(headers=(*asked.headers, basic))
        question = Question(
            f"http://127.0.0.1:{port}{asked.target}",
            asked.method,
            {"host": asked.host, **asked.fields()},
        )
        said = explanation.explain(routing, routing.request(question), lambda *_: "")
        outcome = said.won.outcome if said.won else Outcome("refuse", status=404)
        if said.refused:
            outcome = Outcome("refuse", status=said.status or 400)
        elif "basic_auth" in outcome.unless and credentials != f"{USER}:x":
            outcome = Outcome("refuse", status=401)
        difference = differs(wire.ask(asked.bytes()), outcome, asked)
        if difference:
            wrong.append(f"{asked}: {difference}")
    return wrong


def _query_encoded(target: str) -> str:
    """A target as the core forwards it: nginx leaves these characters of a query alone."""
    path, mark, query = target.partition("?")
    return path + mark + "".join(f"%{ord(c):02X}" if c in _UNSAFE else c for c in query)


_UNSAFE = frozenset('[]{}|^"<>`')


def differs(answer: Answer, outcome: Outcome, asked: random_routes.Asked) -> str:
    """What of an answer is not as the core says; empty if all is."""
    if outcome.kind == "forward":
        return _forwarded_otherwise(answer, outcome, asked)
    if answer.status != outcome.status:
        return f"{answer.status}, not {outcome}"
    if outcome.kind == "refuse":
        return ""
    if 300 <= outcome.status < 400:
        outcome = Outcome("answer", status=outcome.status, headers=outcome.headers)
    elif answer.body.decode() != outcome.body:
        return f"body {answer.body!r}, not {outcome.body!r}"
    # Clients tell octets, too.
    told = ((name, value.encode("latin-1").decode()) for name, value in answer.headers)
    got = sorted(_encoded(line) for line in told)
    wanted_lines = [(name, value.strip()) for name, value in outcome.headers]
    missing = [line for line in wanted_lines if line not in got]
    return f"missing {missing} in {got}" if missing else ""


def _forwarded_otherwise(answer: Answer, outcome: Outcome, asked: random_routes.Asked) -> str:
    if answer.status != 200:
        return f"{answer.status}, not forwarded as {outcome.target}"
    seen = json.loads(answer.body)
    target = seen["line"].split(" ")[1]
    hosts = [value for name, value in seen["fields"] if name == "host"]
    wanted = (outcome.target, [outcome.host or asked.host])
    if (target, hosts) != wanted:
        return f"got {target} {hosts}, not {wanted}"
    return _edited_otherwise([(n, v) for n, v in seen["fields"]], outcome, asked)


#: What the edits name, but for what the proxy writes itself if nobody removes it.
_NAMES = ("authorization", "x-a", "x-up", "x-new", "x-tenant", "x-user", "cookie")


def _edited_otherwise(
    fields: list[tuple[str, str]], outcome: Outcome, asked: random_routes.Asked
) -> str:
    """What of the lines that the endpoint got is not as the core says."""
    lines = [(name, value.replace("BASIC-AUTH-USER", USER)) for name, value in outcome.headers]
    written = {name for name, _ in lines}
    came = [
        (name, value.strip())
        for name, value in asked.headers
        if name not in outcome.removed and name not in written
    ]
    wanted = sorted([*came, *((name, value.strip()) for name, value in lines)])
    names = {*_NAMES, *written, *outcome.removed}
    # The upstream tells octets.
    told = ((name, value.encode("latin-1").decode().strip()) for name, value in fields)
    got = sorted((name, value) for name, value in told if name in names)
    return "" if got == wanted else f"the endpoint got {got}, not {wanted}"


def _encoded(line: tuple[str, str]) -> tuple[str, str]:
    """A redirect's query has braces as they came in nginx; the core encodes them."""
    name, value = line
    return (name, value.replace("{", "%7B").replace("}", "%7D")) if name == "location" else line

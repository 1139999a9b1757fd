"""An issuer that changes its keys again and again under load: each token that is valid passes, and
each that is not is refused, at every moment."""

import base64
import http.client
import json
import re
import threading
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

from joserfc import jwt
from joserfc.jwk import OctKey
from key_server import KeyServer, SigningKey, set_of
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S, until

ROTATIONS: Final = 6
PER_STEP: Final = 200
CONNECTIONS: Final = 30
"""One worker takes all of them less than once in 10^8 runs."""
TEXT: Final = """
node.admin = "off"
node.workers = 2

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[middlewares.members.jwt]
keys = {{ url = "{url}", refresh = "1s", ca_file = "{ca_file}" }}
issuer = "https://login.example"
claims = {{ x-user = "sub" }}

[routes.members]
middlewares = ["members"]
respond = {{ body = "in, ${{jwt:sub}}" }}
"""
ISSUER: Final = {"iss": "https://login.example"}
LONG_AGO: Final = 1_000_000_000


def base64url(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def forged(key: SigningKey) -> dict[str, str]:
    """Tokens that never pass while this key is in use, by what is wrong with each."""
    claims = {"exp": 4_102_444_800, "sub": "mallory", **ISSUER}
    public = OctKey.import_key(json.dumps(key.public).encode())
    bare = f"{base64url({'alg': 'none', 'kid': key.kid})}.{base64url(claims)}."
    body, _, signature = key.token(**ISSUER).rpartition(".")
    head, _, _ = body.partition(".")
    return {
        "another key under this name": SigningKey(key.kid).token(**ISSUER),
        "a key that nobody published": SigningKey("foreign").token(**ISSUER),
        "the public key as a secret": jwt.encode({"alg": "HS256", "kid": key.kid}, claims, public),
        "no signature": bare,
        "other claims under a good signature": f"{head}.{base64url(claims)}.{signature}",
        "over": key.token(exp=LONG_AGO, **ISSUER),
        "of another issuer": key.token(iss="https://other.example"),
    }


class Load:
    """Requests with the tokens at hand on kept connections, from several threads."""

    def __init__(self, port: int, threads: int = 4) -> None:
        self.good: Sequence[str] = ()
        self.bad: dict[str, str] = {}
        self.answers: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self._port = port
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._rounds = [0] * threads
        self._threads = [
            threading.Thread(target=self._run, args=(index,), daemon=True)
            for index in range(threads)
        ]

    def __enter__(self) -> Self:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._threads:
            one.join()

    def until_more(self) -> None:
        """Waits until each thread has sent all tokens that are at hand now, and no others since."""
        goal, begun = self.answers.total() + PER_STEP, list(self._rounds)

        def is_done() -> bool:
            every = all(now >= then + 2 for now, then in zip(self._rounds, begun, strict=True))
            return every and self.answers.total() >= goal

        until(is_done, "requests")

    def _run(self, index: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_S)
        while not self._over.is_set():
            for token in self.good:
                self._ask(link, "valid", token)
            for what, token in self.bad.items():
                self._ask(link, what, token)
            self._rounds[index] += 1
        link.close()

    def _ask(self, link: http.client.HTTPConnection, what: str, token: str) -> None:
        link.request("GET", "/", headers={"authorization": f"Bearer {token}"})
        answer = link.getresponse()
        body = answer.read().decode()
        with self._lock:
            self.answers[what, answer.status] += 1
            expected = (200, "in, bob") if what == "valid" else (401, body)
            if (answer.status, body) != expected:
                self.wrong.append(f"{what}: {answer.status} {body}")


def reloads(node: RunningNode) -> float:
    """How many new key sets every worker has."""
    page = node.admin("GET", "/metrics")[1].decode()
    found = re.findall(r"(?m)^headgate_config_reloads_total{[^}]*} (\S+)$", page)
    return sum(float(one) for one in found)


def until_in(port: int, key: SigningKey) -> int:
    """The port, once tokens of a key pass on many connections, so at every worker: a config waits
    for its keys for three seconds only."""

    def passes() -> bool:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        link.request("GET", "/", headers={"authorization": f"Bearer {key.token(**ISSUER)}"})
        status = link.getresponse().status
        link.close()
        return status == 200

    until(lambda: all(passes() for _ in range(CONNECTIONS)), "the keys")
    return port


def publish(server: KeyServer, node: RunningNode, keys: Sequence[SigningKey]) -> None:
    """Has the issuer publish these keys, and waits until every worker has them."""
    before = reloads(node)
    server.body = set_of(keys)
    until(lambda: reloads(node) > before, "the new set")


def test_no_answer_is_wrong_while_keys_rotate(folder: Path) -> None:
    keys = [SigningKey(f"key-{number}") for number in range(ROTATIONS + 1)]
    port = free_port()
    with KeyServer(folder, keys[:1]) as server:
        text = TEXT.format(port=port, url=server.url, ca_file=server.ca_file)
        with (
            RunningNode(folder, text, "--no-watch").until_ready() as node,
            Load(until_in(port, keys[0])) as load,
        ):
            load.good, load.bad = [keys[0].token(**ISSUER)], forged(keys[0])
            load.until_more()
            for old, new in pairwise(keys):
                early = {**load.bad, "before it is published": new.token(**ISSUER)}
                load.bad = early
                load.until_more()
                # The new key is in the set before anything is signed with it.
                load.bad = forged(old)
                load.until_more()
                publish(server, node, [old, new])
                load.good, load.bad = [old.token(**ISSUER), new.token(**ISSUER)], forged(new)
                load.until_more()
                # The old one leaves it after the last of its tokens.
                load.good = [new.token(**ISSUER)]
                load.until_more()
                publish(server, node, [new])
                load.bad = {**forged(new), "of a key that was withdrawn": old.token(**ISSUER)}
                load.until_more()
        assert load.wrong == []
        assert load.answers["valid", 200] > ROTATIONS * PER_STEP / 2
        assert load.answers["before it is published", 401] > ROTATIONS
        assert load.answers["of a key that was withdrawn", 401] > ROTATIONS
        assert len(load.answers) == 1 + len(forged(keys[0])) + 2

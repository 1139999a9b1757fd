"""Rows 13, 14 and 25: configs that change or are wrong, certificates."""

import json
import random
import socket
import ssl
import threading

from fault_lab import OK, Lab, Seen, get, polite, read_head
from ports import free_port
from running_node import RunningNode
from tls_authority import Authority, Pair
from waiting import until


def versioned(lab: Lab, upstream: str, version: int) -> str:
    """A config whose answers tell its version."""
    edit = f'middlewares = [{{ response_headers = {{ set = {{ x-v = "{version}" }} }} }}]\n'
    return lab.config(upstream, more=edit)


def put(node: RunningNode, text: str) -> None:
    """Replaces the config as a whole."""
    fresh = node.config.with_suffix(f".{threading.get_ident()}")
    fresh.write_text(text)
    fresh.replace(node.config)


def invalid_configs(lab: Lab, seen: Seen) -> None:
    """Row 14: the config with pieces cut out, doubled and replaced, 150 ways."""
    upstream = lab.script(polite)
    good = lab.config(upstream.address)
    dice = random.Random(14)  # noqa: S311 - the same mutations in every run
    refused = placed = broken = taken = 0
    with lab.node(good).until_ready() as node:
        for _ in range(150):
            put(node, _mutated(good, dice))
            status, body = node.admin("POST", "/reload")
            if status == 422:
                refused += 1
                found = json.loads(body)["diagnostics"]
                placed += bool(found) and all(one.get("file") and one.get("line") for one in found)
            elif status == 200:  # still a config: back to the good one before we go on
                taken += 1
                put(node, good)
                node.admin("POST", "/reload")
            else:
                broken += 1
            answer = get(lab.port)
            broken += status != 200 and answer.body != b"ok"
        put(node, good)
        last = node.admin("POST", "/reload")[0]
    seen.check(f"{refused} refused with 422, {taken} were still configs", refused > 50)
    seen.check(f"{placed} of {refused} name file and line for each error", placed == refused)
    seen.check(f"served otherwise or answered otherwise: {broken}", broken == 0)
    seen.check(f"the good config afterwards: {last}", last == 200)


def _mutated(text: str, dice: random.Random) -> str:
    lines = text.splitlines()
    at = dice.randrange(len(lines))
    line = lines[at]
    some = dice.randrange(len(line) + 1)
    lines[at] = dice.choice(
        [
            line[:some],
            line + line,
            line[:some]
            + dice.choice(['"', "{", "]", "=", "\x00", "é", "[[", "#", "''"])
            + line[some:],
            line.replace("=", ":"),
            line.replace('"', ""),
            "[" + line,
            "unknown_key = 1",
            line.replace("app", "nobody"),
        ]
    )
    return "\n".join(lines) + "\n"


def certificates(lab: Lab, seen: Seen) -> None:
    """Row 25: pairs that do not fit on a listener, expired and misnamed ones of an upstream."""
    mine = Authority(lab.folder)
    pair = mine.issue("site", "a.example")
    expired = _tls_upstream(lab, mine.issue("old", "old.example", days=-1))
    named = _tls_upstream(lab, mine.issue("other", "other.example"))
    right = _tls_upstream(lab, mine.issue("right", "right.example"))
    secure = free_port()
    more = "".join(
        f'\n[routes.{name}]\nhosts = ["{name}.example"]\nupstream = "{name}"\n'
        f'[upstreams.{name}]\nendpoints = ["127.0.0.1:{port}"]\n'
        f'tls = {{ ca_file = "{mine.ca_file}", verify_name = "{name}.example" }}\n'
        for name, port in (("old", expired), ("named", named), ("right", right))
    )
    more += (
        f'\n[listeners.secure]\naddress = "127.0.0.1:{secure}"\nprotocol = "http"\n'
        f'default = true\ntls = {{ default_certificate = "site" }}\n{pair.toml("site")}'
    )
    upstream = lab.script(polite)
    with lab.node(lab.config(upstream.address, more=more), "--workers", "1").until_ready() as node:
        for name, must in (("old", 502), ("named", 502), ("right", 200)):
            answer = get(lab.port, f"{name}.example")
            seen.check(f"upstream {name}: {answer.status} {answer.reason}", answer.status == must)
        before = _serial(secure)
        other = mine.issue("stranger", "a.example")
        pair.key_file.write_bytes(other.key_file.read_bytes())
        status, body = node.admin("POST", "/reload")
        seen.check(f"key of another pair: {status} {_message(body)}", status == 422)
        seen.check("the old certificate is still served", _serial(secure) == before)
        fresh = mine.issue("site", "a.example")
        until(lambda: _serial(secure) == fresh.serial, "the new pair, noticed by the watch")
        seen.check("a good pair is taken when its files change", True)
        mine.issue("site", "a.example", days=-1)
        node.admin("POST", "/reload")
        until(lambda: b"expired" in node.admin("GET", "/status")[1], "a warning in the status")
        seen.check("an expired pair on a listener is warned of in the status", True)


def _message(body: bytes) -> str:
    document = json.loads(body)
    found = document.get("diagnostics") or [{}]
    return str(found[0].get("message", document.get("error", "")))


def _tls_upstream(lab: Lab, pair: Pair) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert_file, pair.key_file)

    def serve(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            while read_head(wrapped):
                wrapped.sendall(OK)

    return lab.script(serve).port


def _serial(port: int) -> int:
    """The serial number of the certificate that a TLS listener shows."""
    from cryptography import x509  # noqa: PLC0415 - only this row needs it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="a.example") as wrapped,
    ):
        found = wrapped.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(found or b"").serial_number

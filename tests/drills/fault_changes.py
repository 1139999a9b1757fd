"""Rows 12-15, 25 and 36: processes that die, configs that change or are wrong, certificates."""

import json
import os
import random
import signal
import socket
import ssl
import threading
import time
from pathlib import Path

from drill_parts import control_pid
from fault_lab import OK, Lab, Seen, get, kinds, many, polite, read_head, total
from running_node import RunningNode, free_port
from tls_authority import Authority, Pair
from waiting import until


def data_plane_killed(lab: Lab, seen: Seen) -> None:
    """Row 12: SIGKILL to the data plane, three times a few seconds apart."""
    upstream = lab.endpoint()
    with lab.node(lab.config(upstream.address)).until_ready() as node:
        gaps: list[float] = []
        for turn in range(2):
            generation, pid = node.data_plane()
            os.kill(pid, signal.SIGKILL)
            began = time.monotonic()
            answer = get(lab.port)
            gaps.append(time.monotonic() - began)
            seen.check(
                f"kill {turn + 1}: a new connection got {answer.status}", answer.status == 200
            )
            until(lambda g=generation: node.data_plane()[0] > g, "a new data plane")  # type: ignore[misc]
            until(lambda: node.admin_status("/ready") == 200, "readiness")
        seen.check(f"answered after at most {max(gaps) * 1000:.0f} ms", max(gaps) < 1.0)
        count = total(node, "headgate_dataplane_restarts_total")
        seen.check(f"counted: {count:.0f}", count == 2)


def _versioned(lab: Lab, upstream: str, version: int) -> str:
    edit = f'middlewares = [{{ response_headers = {{ set = {{ x-v = "{version}" }} }} }}]\n'
    return lab.config(upstream, more=edit)


def _put(node: RunningNode, text: str) -> None:
    fresh = node.config.with_suffix(f".{threading.get_ident()}")
    fresh.write_text(text)
    fresh.replace(node.config)


def reloads_under_load(lab: Lab, seen: Seen) -> None:
    """Row 13: two that reload as fast as they can, for ten seconds of full load."""
    upstream = lab.endpoint()
    outcomes: dict[str, int] = {}
    lock = threading.Lock()
    turns = [0]
    end = time.monotonic() + 10

    with lab.node(_versioned(lab, upstream.address, 0)).until_ready() as node:

        def reload(_: int) -> None:
            while time.monotonic() < end:
                with lock:
                    turns[0] += 1
                    _put(node, _versioned(lab, upstream.address, turns[0]))
                status, body = node.admin("POST", "/reload")
                outcome = str(json.loads(body).get("outcome", status))
                with lock:
                    outcomes[outcome] = outcomes.get(outcome, 0) + 1

        load = lab.storm(10)
        with many(2, reload):
            pass
        whole, failures = load.result()
        node.admin("POST", "/reload")
        last = get(lab.port).version
    bad = {name: count for name, count in outcomes.items() if name not in {"applied", "unchanged"}}
    seen.check(f"{sum(outcomes.values())} reloads: {outcomes}", not bad)
    seen.check(f"{whole['answers']:,} answers, failures: {kinds(failures)}", not failures)
    seen.check(f"the last config wins: {last} of {turns[0]}", last == str(turns[0]))


def invalid_configs(lab: Lab, seen: Seen) -> None:
    """Row 14: the config with pieces cut out, doubled and replaced, 150 ways."""
    upstream = lab.script(polite)
    good = lab.config(upstream.address)
    dice = random.Random(14)  # noqa: S311 - the same mutations in every run
    refused = placed = broken = taken = 0
    with lab.node(good).until_ready() as node:
        for _ in range(150):
            _put(node, _mutated(good, dice))
            status, body = node.admin("POST", "/reload")
            if status == 422:
                refused += 1
                found = json.loads(body)["diagnostics"]
                placed += bool(found) and all(one.get("file") and one.get("line") for one in found)
            elif status == 200:  # still a config: back to the good one before we go on
                taken += 1
                _put(node, good)
                node.admin("POST", "/reload")
            else:
                broken += 1
            answer = get(lab.port)
            broken += status != 200 and answer.body != b"ok"
        _put(node, good)
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


def half_written(lab: Lab, seen: Seen) -> None:
    """Row 15: with the file watch on; the file is at no time replaced whole by a good one."""
    upstream = lab.script(polite)
    good = _versioned(lab, upstream.address, 1)
    wrong: list[str] = []

    def expect(version: str, what: str) -> None:
        answer = get(lab.port)
        if answer.body != b"ok" or answer.version != version:
            wrong.append(f"{what}: {answer.status} {answer.version}")

    with lab.node(good, "--workers", "1").until_ready() as node:
        changed = _versioned(lab, upstream.address, 2).encode()
        with node.config.open("wb") as file:
            for at in range(0, len(changed), 40):
                file.write(changed[at : at + 40])
                file.flush()
                os.fsync(file.fileno())
                time.sleep(0.06)
                if at + 40 < len(changed):
                    expect("1", f"half-written at {at}")
        until(lambda: get(lab.port).version == "2", "the whole file")
        node.config.write_bytes(changed[: len(changed) // 2])
        time.sleep(1)
        expect("2", "cut in half")
        node.config.unlink()
        time.sleep(0.5)
        expect("2", "gone")
        node.config.symlink_to(lab.folder / "nowhere.toml")
        time.sleep(0.5)
        expect("2", "a dangling link")
        (lab.folder / "nowhere.toml").write_text(_versioned(lab, upstream.address, 3))
        status, body = node.admin("POST", "/reload")
        expect("3", f"the link's target appears ({status} {body[:200]!r})")
        node.config.unlink()
        node.config.mkdir()
        time.sleep(0.5)
        expect("3", "a folder in its place")
        node.config.rmdir()
        node.config.write_text(_versioned(lab, upstream.address, 4))
        until(lambda: get(lab.port).version == "4", "a good file again")
        refused = total(node, r"headgate_config_reloads_total")
    seen.check(f"served something else: {wrong or 'never'}", not wrong)
    seen.check(f"{refused:.0f} reloads by the watch and one by hand; a good file is taken", True)


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


def upgrades(lab: Lab, seen: Seen) -> None:
    """Row 36: three upgrades under full load, with one and with two workers."""
    upstream = lab.endpoint()
    for workers in (1, 2):
        folder = Path(lab.folder) / str(workers)
        folder.mkdir()
        text = lab.config(upstream.address)
        options = ("--no-watch", "--workers", str(workers))
        with RunningNode(folder, text, *options).until_ready() as node:
            first = control_pid(node)
            load = lab.storm(12)
            done = [node.command("upgrade") for _ in range(3)]
            whole, failures = load.result()
            codes = [one.returncode for one in done]
            generation = node.data_plane()[0]
            replaced = control_pid(node) != first
        seen.check(
            f"{workers} worker(s): {whole['answers']:,} answers, failures: {kinds(failures)}, "
            f"exit codes {codes}, generation {generation}, control replaced: {replaced}",
            not failures and codes == [0, 0, 0] and generation == 4 and replaced,
        )

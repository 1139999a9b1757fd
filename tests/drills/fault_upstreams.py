"""Rows 1-7 and 9: what upstreams, names and clients do wrong."""

import random
import socket
import time
from collections.abc import Callable

from fault_dns import DnsServer
from fault_lab import (
    OK,
    Answer,
    Lab,
    Seen,
    Serve,
    get,
    kinds,
    many,
    p99_ms,
    polite,
    read_head,
    reset,
    total,
)
from storm import is_allowed
from waiting import until


def killed_backend(lab: Lab, seen: Seen) -> None:
    """Row 1: one of three endpoints is killed every 1.5 s under full load."""
    three = [lab.endpoint() for _ in range(3)]
    with lab.node(lab.config(*(one.address for one in three))).until_ready():
        load = lab.storm(8)
        kills: list[float] = []
        for number in range(4):
            time.sleep(1.0)
            kills.append(time.time())
            three[number % 3].kill()
            time.sleep(0.5)
            three[number % 3].revive()
        whole, failures = load.result()
    wrong = [one for one in failures if not is_allowed(one, kills)]
    seen.check(f"{whole['answers']:,} answers, {len(kills)} kills", whole["answers"] > 1000)
    seen.check(f"failures in flight on a killed endpoint: {kinds(failures)}", not wrong)
    seen.check(f"longest wait {whole['worst_ms']:.0f} ms", whole["worst_ms"] < 2000)


def reset_in_body(lab: Lab, seen: Seen) -> None:
    """Row 2: RST after k bytes of an answer, with a length and chunked."""
    cuts = (0, 1, 10, 500, 999)
    plan: list[tuple[bytes, int]] = []
    head = b"HTTP/1.1 200 OK\r\n"
    sized = head + b"Content-Length: 1000\r\n\r\n" + b"x" * 1000
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n"

    def serve(connection: socket.socket) -> None:
        while read_head(connection):
            if not plan:
                connection.sendall(OK)
                continue
            message, cut = plan.pop()
            end = message.index(b"\r\n\r\n") + 4
            connection.sendall(message[: end + cut] if cut else message[:10])
            time.sleep(0.05)  # so that what was sent is read before the reset throws it away
            reset(connection)
            return

    upstream = lab.script(serve)
    with lab.node(lab.config(upstream.address)).until_ready():
        clean = before = 0
        for message in (sized, chunked):
            for cut in cuts:
                plan.append((message, cut))
                answer = get(lab.port)
                is_told = answer.status == 502 if cut == 0 else not answer.whole
                clean += not is_told
                before += answer.status == 502
        after = get(lab.port)
    seen.check(f"{2 * len(cuts)} cuts, {clean} of them looked like a clean end", clean == 0)
    seen.check(f"cut within the head: {before} of 2 got 502", before >= 2)
    seen.check(f"the next request on a fresh connection: {after.status}", after.body == b"ok")


_SLOW_ROUTES = """
[routes.slow]
hosts = ["slow.example"]
upstream = "slow"
timeouts = {{ per_try = "1s", request = "3s" }}
[routes.stalled]
hosts = ["stalled.example"]
upstream = "stalled"
timeouts = {{ stream_idle = "1s" }}
[upstreams.slow]
endpoints = ["{slow}"]
[upstreams.stalled]
endpoints = ["{stalled}"]
"""


def _byte_a_second(connection: socket.socket) -> None:
    head = read_head(connection)
    slow_head = b"/head" in head.split(b"\r\n")[0]
    start = b"" if slow_head else b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"
    rest = OK if slow_head else b"x" * 50
    connection.sendall(start)
    for at in range(len(rest)):
        connection.sendall(rest[at : at + 1])
        time.sleep(1)


def _stall(connection: socket.socket) -> None:
    read_head(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nx")
    connection.recv(1)


def slow_backend(lab: Lab, seen: Seen) -> None:
    """Row 4: heads and bodies at one byte a second; other routes do not feel it."""
    slow, stalled = lab.script(_byte_a_second), lab.script(_stall)
    more = _SLOW_ROUTES.format(slow=slow.address, stalled=stalled.address)
    found: dict[str, list[Answer]] = {"head": [], "body": [], "stalled": []}

    def ask(number: int) -> None:
        kind = ("head", "body", "stalled")[number % 3]
        host = "stalled.example" if kind == "stalled" else "slow.example"
        found[kind].append(get(lab.port, host, f"/{kind}"))

    with lab.node(lab.config(lab.script(polite).address, more=more)).until_ready():
        quiet = [get(lab.port) for _ in range(200)]
        with many(15, ask):
            time.sleep(0.1)
            beside = [get(lab.port) for _ in range(200)]
    took = {kind: max(one.took for one in answers) for kind, answers in found.items()}
    seen.check(
        f"slow heads: {sorted({one.status for one in found['head']})} after at most "
        f"{took['head']:.2f} s",
        all(one.status == 504 for one in found["head"]) and took["head"] < 2,
    )
    seen.check(
        f"slow bodies cut by the request's time after at most {took['body']:.2f} s",
        all(not one.whole for one in found["body"]) and took["body"] < 4.5,
    )
    seen.check(
        f"stalled bodies cut after at most {took['stalled']:.2f} s",
        all(not one.whole for one in found["stalled"]) and took["stalled"] < 3,
    )
    before, during = p99_ms(quiet), p99_ms(beside)
    seen.check(f"p99 of another route {before:.1f} → {during:.1f} ms", during < before * 3 + 20)


def half_open_backend(lab: Lab, seen: Seen) -> None:
    """Row 5: an endpoint that accepts and never answers; one whose queue is full."""
    silent = lab.endpoint()
    silent.stop()
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    address = full.getsockname()
    fill = [socket.socket() for _ in range(4)]
    for one in fill:
        one.setblocking(False)
        one.connect_ex(address)
    good = lab.script(polite)
    more = f"""
timeouts = {{ first_byte = "1s" }}
[routes.full]
hosts = ["full.example"]
upstream = "full"
[upstreams.full]
endpoints = ["127.0.0.1:{address[1]}"]
timeouts = {{ connect = "1s" }}
[routes.both]
hosts = ["both.example"]
upstream = "both"
[upstreams.both]
endpoints = ["127.0.0.1:{address[1]}", "{good.address}"]
timeouts = {{ connect = "2s" }}
"""
    with lab.node(lab.config(silent.address, more=more)).until_ready():
        answer = get(lab.port)
        seen.check(
            f"accepts, never answers: {answer.status} after {answer.took:.2f} s ({answer.reason})",
            answer.status == 504 and answer.took < 2,
        )
        answer = get(lab.port, "full.example")
        seen.check(
            f"queue full: {answer.status} after {answer.took:.2f} s ({answer.reason})",
            answer.status in {502, 503, 504} and answer.took < 2,
        )
        both = [get(lab.port, "both.example") for _ in range(4)]
        seen.check(
            f"with a good endpoint beside it: {[one.status for one in both]} after at most "
            f"{max(one.took for one in both):.2f} s",
            all(one.status == 200 for one in both),
        )
    silent.go_on()
    for one in (full, *fill):
        one.close()


def dns(lab: Lab, seen: Seen) -> None:
    """Row 6: the name server fails, is silent, denies, answers otherwise."""
    first = lab.script(_always(b"1st"))
    # On the same port: a name gives an address alone.
    second = lab.script(_always(b"2nd"), "127.0.0.2", port=first.port)
    server = DnsServer("127.0.0.1")
    resolver = (
        f'resolver = {{ servers = ["127.0.0.1:{server.port}"], min_ttl = "200ms", '
        'max_ttl = "400ms", timeout = "500ms" }\n'
    )
    with lab.node(lab.config(f"app.test:{first.port}", node=resolver)).until_ready() as node:
        until(lambda: get(lab.port).status == 200, "the first answer")
        for mode in ("SERVFAIL", "silence", "NXDOMAIN"):
            server.mode, server.asked = mode, 0
            until(lambda: server.asked > 1, "more questions")
            answers = [get(lab.port) for _ in range(20)]
            good = sum(one.body == b"1st" for one in answers)
            seen.check(f"{mode}: {good} of 20 by the last good address", good == 20)
        age = total(node, "headgate_resolver_age_seconds")
        failures = total(node, "headgate_resolver_failures_total")
        seen.check(f"age {age:.1f} s and {failures:.0f} failures in the metrics", failures > 0)
        server.mode, server.address = "answer", second.host
        known = _soon(lambda: second.host in str(node.engine()["upstreams"]))
        seen.check("a changed answer is known within 8 s", known)
        followed = _soon(lambda: get(lab.port).body == b"2nd")
        seen.check("and requests go to the new address 8 s later", followed)
    server.close()


def _soon(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 8
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _always(body: bytes) -> Serve:
    def serve(connection: socket.socket) -> None:
        while read_head(connection):
            connection.sendall(OK.replace(b": 2", b": %d" % len(body)).replace(b"ok", body))

    return serve


def all_down(lab: Lab, seen: Seen) -> None:
    """Row 7: every endpoint is down, then one comes back."""
    two = [lab.endpoint() for _ in range(2)]
    with lab.node(lab.config(*(one.address for one in two))).until_ready():
        get(lab.port)
        for one in two:
            one.kill()
        answers = [get(lab.port) for _ in range(20)]
        took = max(one.took for one in answers)
        seen.check(
            f"{sorted({one.status for one in answers})} within {took * 1000:.0f} ms, "
            f"reason {answers[-1].reason!r}",
            all(one.status in {502, 503} and one.reason for one in answers) and took < 1,
        )
        two[0].revive()
        answer = get(lab.port)
        seen.check(f"the first request after one is back: {answer.status}", answer.status == 200)


def client_abort(lab: Lab, seen: Seen) -> None:
    """Row 9: clients reset in the midst of uploads and downloads."""
    size = 4 << 20

    def serve(connection: socket.socket) -> None:
        head = read_head(connection)
        if head.startswith(b"GET"):
            # More than sockets hold: else it may be whole, and its connection kept, all the same.
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (16 * size))
            for _ in range(16 * size // 65536):
                connection.sendall(b"x" * 65536)
        while connection.recv(65536):
            pass

    upstream = lab.script(serve)
    with lab.node(lab.config(upstream.address)).until_ready() as node:
        before = total(node, "headgate_dataplane_resident_bytes")
        for turn in range(60):
            _abort(lab.port, upload=turn % 2 == 0, size=size)
        until(lambda: upstream.open == 0, "the upstream connections to end")
        seen.check("60 aborts; every upstream connection was ended", upstream.open == 0)
        failures = total(node, "proxy_backend_failures_total")
        seen.check(f"counted as failures of the endpoint: {failures:.0f}", failures == 0)
        active = total(node, "proxy_active_connections")
        seen.check(f"client connections left: {active:.0f}", active == 0)
        grown = (total(node, "headgate_dataplane_resident_bytes") - before) / (1 << 20)
        seen.check(f"memory grew by {grown:.1f} MiB", grown < 8)


def _abort(port: int, *, upload: bool, size: int) -> None:
    connection = socket.create_connection(("127.0.0.1", port), 5)
    some = random.randrange(1, size // 2)  # noqa: S311 - an offset
    if upload:
        head = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n" % size
        connection.sendall(head + b"x" * some)
    else:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        got = 0
        while got < some:
            got += len(connection.recv(65536))
    reset(connection)

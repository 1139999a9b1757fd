"""Bodies of requests that are decoded on their way: over both protocols, to endpoints of both."""

import gzip
import http.client
import random
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from access_log import AccessLog
from codings import CODINGS
from receiving import Receiver, receiver
from running_node import RunningNode, config
from waiting import DEADLINE_S, until

TEXT = b"".join(b'{"id": %d, "name": "item %d"}\n' % (n, n * 7) for n in range(9000))
VERSIONS = ["--http1.1", "--http2-prior-knowledge"]
LOG = 'access_log = {{ format = "json", sink = {{ path = "{folder}/access.log" }} }}'


@pytest.fixture
def app() -> Iterator[Receiver]:
    """The endpoint."""
    with receiver() as one:
        yield one


def written(
    folder: Path, port: int, upstream: str, options: str = "", route: str = "", rest: str = ""
) -> str:
    """The usual config, whose requests are decoded."""
    text = config(port, upstream, extra=LOG.format(folder=folder)).replace(
        "[listeners.web]\n", "[listeners.web]\nh2c = true\n"
    )
    uses = f"middlewares = [{{ decompress = {{ {options} }} }}]\n{route}\n"
    return text.replace('upstream = "app"\n', f'upstream = "app"\n{uses}') + rest


@dataclass(frozen=True)
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes


def send(
    port: int, body: bytes, coding: str, version: str = "--http1.1", *arguments: str
) -> Answer:
    """Posts a body with curl; its length is told unless the arguments say otherwise."""
    about = ("--silent", "--show-error", "--include", "--raw", "--request", "POST")
    named = ("--header", f"content-encoding: {coding}", "--header", "expect:")
    given = arguments or ("--data-binary", "@-")
    command = ("curl", version, *about, *named, *given, f"http://127.0.0.1:{port}/")
    done = subprocess.run(command, input=body, capture_output=True, timeout=DEADLINE_S, check=False)
    head, _, rest = done.stdout.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    if not lines[0]:
        # Over HTTP/2 curl shows no answer that comes before it has sent the body. It says that the
        # stream ended too early, or that nothing came, as its sending or its reading saw it first.
        assert done.returncode in {92, 52}, done.stderr
        return Answer(0, {}, b"")
    pairs = [line.partition(":") for line in lines[1:]]
    fields = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(int(lines[0].split()[1]), fields, rest)


STREAMED = ("--upload-file", "-")


def results(node: RunningNode) -> dict[str, float]:
    """What came of the middleware, as the metrics count it; without zeros."""
    page = node.admin("GET", "/metrics")[1].decode()
    found = {}
    for line in page.splitlines():
        if line.startswith("headgate_middleware_results_total") and 'kind="decompress"' in line:
            name, _, count = line.rpartition(" ")
            found[name.rpartition('result="')[2].partition('"')[0]] = float(count)
    return {name: count for name, count in found.items() if count}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_endpoint_gets_bodies_without_their_coding(
    folder: Path, port: int, app: Receiver, version: str
) -> None:
    with RunningNode(folder, written(folder, port, app.address)).until_ready() as node:
        log = AccessLog(folder / "access.log")
        for coding, encode in CODINGS.items():
            body = encode(TEXT)
            for arguments in ((), STREAMED):
                answer = send(port, body, coding, version, *arguments)
                assert (answer.status, answer.body) == (200, app.body), coding
                got = app.last()
                assert got.body == TEXT, coding
                assert got.headers["transfer-encoding"] == "chunked"
                assert not {"content-encoding", "content-length"} & got.headers.keys()
            assert log.lines(len(app.got))[-1]["bytes_in"] == len(body)
        send(port, TEXT, "identity", version)
        got = app.last()
        assert (got.body, got.headers["content-length"]) == (TEXT, str(len(TEXT)))
        assert results(node) == dict.fromkeys(CODINGS, 2) | {"plain": 1}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_endpoint_of_http2_is_no_different(
    folder: Path, port: int, app: Receiver, version: str
) -> None:
    # The node is its own endpoint, over HTTP/2.
    rest = f"""
[routes.inner]
hosts = ["inner.example"]
upstream = "self"

[upstreams.self]
endpoints = ["{app.address}"]
"""
    text = written(folder, port, f"127.0.0.1:{port}", rest=rest)
    text = text.replace(
        "[upstreams.app]\n", '[upstreams.app]\nprotocol = "h2c"\nhost_header = "inner.example"\n'
    )
    with RunningNode(folder, text).until_ready() as node:
        for coding, encode in CODINGS.items():
            for arguments in ((), STREAMED):
                assert send(port, encode(TEXT), coding, version, *arguments).status == 200
                got = app.last()
                assert got.body == TEXT, coding
                assert not {"content-encoding", "content-length"} & got.headers.keys()
        assert node.metric("headgate_http2_connections_opened_total") > 0


def made_up(chance: random.Random) -> bytes:
    """A body of random parts, some of which repeat themselves."""
    parts = []
    for _ in range(chance.randrange(6)):
        part = chance.randbytes(chance.randrange(1, 3000))
        parts.append(part * chance.choice([1, 1, chance.randrange(1, 80)]))
    return b"".join(parts)


@pytest.mark.parametrize("coding", CODINGS)
def test_bodies_in_any_parts_are_what_others_decode(
    folder: Path, port: int, app: Receiver, coding: str
) -> None:
    chance = random.Random(coding)  # noqa: S311 - bodies of a test
    options = 'limit = "1GiB", ratio = 100000'
    with RunningNode(folder, written(folder, port, app.address, options)).until_ready():
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        for round_ in range(25):
            body = made_up(chance)
            coded = CODINGS[coding](body)
            most = chance.choice([3, 100, 20_000])
            parts: list[bytes] = []
            at = 0
            while at < len(coded) and len(parts) < 2000:
                size = chance.randrange(1, most + 1)
                parts.append(coded[at : at + size])
                at += size
            parts.append(coded[at:])
            sent = [part for part in parts if part]
            headers = {"content-encoding": coding, "transfer-encoding": "chunked"}
            client.request("POST", "/", iter(sent), headers, encode_chunked=True)
            answer = client.getresponse()
            assert (answer.status, answer.read()) == (200, app.body), round_
            assert app.last().body == body, round_
        client.close()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("coding", CODINGS)
def test_bombs_are_refused_before_they_are_large(
    folder: Path, port: int, app: Receiver, coding: str, version: str
) -> None:
    bomb = CODINGS[coding](bytes(64 << 20))
    assert len(bomb) < 100_000
    text = written(folder, port, app.address)
    with RunningNode(folder, text).until_ready() as node:
        log = AccessLog(folder / "access.log")
        answer = send(port, bomb, coding, version)
        assert (answer.status, answer.headers["proxy-status"].split(";")[0]) == (413, "headgate")
        assert log.lines(1)[-1]["reason"] == "body-too-dense"
        node.write(text.replace("decompress = {", "decompress = { ratio = 1000000"))
        assert node.command("reload").returncode == 0
        assert send(port, bomb, coding, version).status == 413
        assert log.lines(2)[-1]["reason"] == "decoded-too-large"
        assert results(node) == {coding: 2, "too_large": 2}
        until(lambda: len(app.got) == 2, "what came of the bombs")
        assert not any(one.is_whole for one in app.got)
        assert max(len(one.body) for one in app.got) <= (16 << 20) + (64 << 10)


@pytest.mark.parametrize("coding", CODINGS)
def test_broken_bodies_are_refused(folder: Path, port: int, app: Receiver, coding: str) -> None:
    whole = CODINGS[coding](TEXT)
    broken = [whole[:-1], whole[:20], b"<!doctype html>", whole + b"no member begins so"]
    with RunningNode(folder, written(folder, port, app.address)).until_ready() as node:
        log = AccessLog(folder / "access.log")
        for number, body in enumerate(broken, 1):
            for version in VERSIONS:
                assert send(port, body, coding, version).status == 400, (number, version)
            lines = log.lines(2 * number)
            assert {line["reason"] for line in lines} == {"body-coding"}
        assert results(node) == {coding: 8, "corrupt": 8}
        assert not any(one.is_whole for one in app.got)
        # The node goes on, and nothing at all is an empty body.
        assert send(port, b"", coding, "--http1.1", *STREAMED).status == 200
        assert app.last().body == b""


def test_other_codings_get_those_that_are_taken(folder: Path, port: int, app: Receiver) -> None:
    with RunningNode(folder, written(folder, port, app.address)).until_ready() as node:
        log = AccessLog(folder / "access.log")
        for coding in ("compress", "gzip, br", "gzip, gzip"):
            answer = send(port, TEXT, coding)
            assert answer.status == 415
            assert answer.headers["accept-encoding"] == "zstd, br, gzip, deflate"
            send(port, TEXT, coding, VERSIONS[1])
        told = {(line["status"], line["reason"]) for line in log.lines(6)}
        assert told == {(415, "content-encoding")}
        assert results(node) == {"unsupported": 6}
        assert not app.got
        explained = node.command(
            "explain", "POST", f"http://127.0.0.1:{port}/", "--header", "content-encoding: compress"
        )
        assert "415" in explained.stdout, explained.stderr
        node.write(
            written(folder, port, app.address, 'algorithms = ["gzip"], unsupported = "pass"')
        )
        assert node.command("reload").returncode == 0
        for coding in ("br", "gzip, gzip"):
            assert send(port, TEXT, coding).status == 200
            got = app.last()
            assert (got.body, got.headers["content-encoding"]) == (TEXT, coding)
            assert got.headers["content-length"] == str(len(TEXT))


def test_several_codings_are_taken_off_in_turn(folder: Path, port: int, app: Receiver) -> None:
    body = CODINGS["br"](gzip.compress(TEXT))
    text = written(folder, port, app.address, "layers = 2")
    with RunningNode(folder, text).until_ready() as node:
        for version in VERSIONS:
            for arguments in ((), STREAMED):
                assert send(port, body, "gzip, br", version, *arguments).status == 200
                assert app.last().body == TEXT
                assert "content-encoding" not in app.last().headers
        assert send(port, body, "gzip, gzip, br").status == 415
        twice = gzip.compress(gzip.compress(bytes(64 << 20)))
        assert send(port, twice, "gzip, gzip").status == 413
        assert results(node) == {"br": 4, "gzip": 1, "unsupported": 1, "too_large": 1}


def test_a_client_that_expects_100_sends_its_body(folder: Path, port: int, app: Receiver) -> None:
    with RunningNode(folder, written(folder, port, app.address)).until_ready():
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
            body = gzip.compress(TEXT)
            head = (
                "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n"
                f"content-encoding: {{}}\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            client.sendall(head.format("gzip").encode())
            answers = client.makefile("rb")
            assert answers.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert answers.readline() == b"\r\n"
            client.sendall(body)
            assert answers.readline().startswith(b"HTTP/1.1 200 ")
            assert app.last().body == TEXT
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S) as client:
            client.sendall(head.format("compress").encode())
            assert client.makefile("rb").readline().startswith(b"HTTP/1.1 415 ")


def test_retries_send_the_decoded_body_again(folder: Path, port: int, app: Receiver) -> None:
    small = TEXT[:9000]
    for route in ("", 'limits = { body_buffer = "64KiB" }'):
        retry = 'retry = { on = ["reset"], methods = ["POST"] }\n' + route
        with RunningNode(folder, written(folder, port, app.address, route=retry)).until_ready():
            for version in VERSIONS:
                app.got.clear()
                app.drops = 1
                assert send(port, gzip.compress(small), "gzip", version).status == 200
                assert [one.body for one in app.got] == [small, small]


def test_copies_are_decoded_and_answers_compressed(folder: Path, port: int, app: Receiver) -> None:
    with receiver() as shadow, receiver() as auth:
        rest = f"""
[upstreams.shadow]
endpoints = ["{shadow.address}"]

[upstreams.auth]
endpoints = ["{auth.address}"]
"""
        route = 'mirror = { upstream = "shadow", max_body = "1MiB" }'
        text = written(folder, port, app.address, route=route, rest=rest).replace(
            "middlewares = [",
            'middlewares = [{ compress = { min_size = "off" } }, '
            '{ forward_auth = { upstream = "auth", path = "/" } }, ',
        )
        app.body = TEXT
        with RunningNode(folder, text).until_ready():
            for number, version in enumerate(VERSIONS, 1):
                wants = ("--data-binary", "@-", "--header", "accept-encoding: gzip")
                answer = send(port, gzip.compress(TEXT), "gzip", version, *wants)
                assert answer.headers["content-encoding"] == "gzip"
                assert app.last().body == TEXT
                until(lambda: len(shadow.got) == number, "the copy")  # noqa: B023
                assert shadow.last().body == TEXT
                assert "content-encoding" not in shadow.last().headers
                assert auth.last().body == b""


@pytest.mark.parametrize(("spare", "status"), [(0, 200), (-1, 413)])
def test_the_limit_of_bodies_counts_them_as_they_come(
    folder: Path, port: int, app: Receiver, spare: int, status: int
) -> None:
    body = gzip.compress(TEXT)
    text = written(folder, port, app.address, route=f'limits = {{ body = "{len(body) + spare}B" }}')
    with RunningNode(folder, text).until_ready():
        log = AccessLog(folder / "access.log")
        for number, version in enumerate(VERSIONS):
            for streamed, arguments in enumerate(((), STREAMED)):
                send(port, body, "gzip", version, *arguments)
                count = 2 * number + streamed + 1
                assert log.lines(count)[-1]["status"] == status, (version, arguments)


def test_a_slow_endpoint_holds_the_body_back(folder: Path, port: int, app: Receiver) -> None:
    body = gzip.compress(random.Random(1).randbytes(5 << 20) + bytes(9 << 20))  # noqa: S311
    with RunningNode(folder, written(folder, port, app.address)).until_ready():
        for version in VERSIONS:
            assert send(port, body, "gzip", version).status == 200
            assert app.last().body == gzip.decompress(body)

"""Plays the malformed-message corpus against a running node, and says what each case got.

    python tests/drills/malformed.py --target 127.0.0.1:8000 --upstream-port 9101

The node must forward every host and path to 127.0.0.1:<upstream port>, where this drill listens.
Requests are sent raw: a refused one must be answered with its status and `Proxy-Status`, the
connection must end, and the upstream must never get it whole (if its head was refused: at all).
Answers are played by the upstream: a malformed one must become a 502 or, once its head is out, a
visible truncation, and its connection must never carry another request. Prints a Markdown table;
the exit code is 1 when a case got something else.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[1] / "corpus"
#: Host and port.
Address = tuple[str, int]


@dataclass(frozen=True)
class Accept:
    """A message of the corpus that is taken."""

    status: int
    body: bytes
    keep_alive: bool
    interim: bool
    kept: tuple[str, ...]
    dropped: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """A line of the corpus."""

    id: str
    group: str
    wire: bytes
    method: str
    accepts: tuple[Accept, ...]
    status: int
    layer: str
    cut: bool


@dataclass
class Answer:
    """An answer as it came; `whole` is false when its body was cut short."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool


@dataclass
class Received:
    """A request as the upstream got it; `whole` once its body ended."""

    head: bytes
    body: bytes = b""
    whole: bool = False


def load(name: str) -> list[Case]:
    """The cases of a corpus file."""
    return [_case(json.loads(line)) for line in (CORPUS / name).read_text().splitlines()]


def _case(row: dict[str, object]) -> Case:
    refusal = row.get("refusal")
    refusal = refusal if isinstance(refusal, dict) else {}
    accepts = row.get("accepts")
    return Case(
        id=str(row["id"]),
        group=str(row["group"]),
        wire=b"".join(_parts(row["input"])),
        method=str(row.get("method", "")),
        accepts=tuple(_accept(a) for a in accepts) if isinstance(accepts, list) else (),
        status=int(refusal.get("status", 0)),
        layer=str(refusal.get("layer", "")),
        cut=bool(row.get("cut")),
    )


def _parts(parts: object) -> Iterator[bytes]:
    for part in parts if isinstance(parts, list) else []:
        if isinstance(part, str):
            yield part.encode("latin-1")
        else:
            yield str(part["text"]).encode("latin-1") * int(part["times"])


def _accept(row: dict[str, object]) -> Accept:
    kept, dropped = row.get("kept"), row.get("dropped")
    return Accept(
        status=int(str(row.get("status", 200))),
        body=str(row["body"]).encode("latin-1"),
        keep_alive=bool(row["keep_alive"]),
        interim=bool(row.get("interim")),
        kept=tuple(kept) if isinstance(kept, list) else (),
        dropped=tuple(dropped) if isinstance(dropped, list) else (),
    )


class Stream:
    """Buffered reading from a socket; the end and a reset both read as the end."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.timed_out = False

    def more(self) -> bool:
        """Reads once; false at the end."""
        try:
            got = self.sock.recv(65536)
        except TimeoutError:
            self.timed_out = True
            return False
        except OSError:
            return False
        self.buffer += got
        return bool(got)

    def until(self, mark: bytes) -> bytes | None:
        """Up to and with `mark`; None when the stream ends first."""
        while mark not in self.buffer:
            if not self.more():
                return None
        head, self.buffer = self.buffer.split(mark, 1)
        return head + mark

    def exactly(self, size: int) -> tuple[bytes, bool]:
        """So many bytes; fewer and false when the stream ends first."""
        while len(self.buffer) < size:
            if not self.more():
                got, self.buffer = self.buffer, b""
                return got, False
        got, self.buffer = self.buffer[:size], self.buffer[size:]
        return got, True

    def rest(self) -> bytes:
        """Everything up to the end."""
        while self.more():
            pass
        got, self.buffer = self.buffer, b""
        return got

    def chunked(self) -> tuple[bytes, bool]:
        """A chunked body as we would write it: plain sizes, trailers."""
        body = b""
        while (line := self.until(b"\r\n")) is not None:
            size = int(line.split(b";")[0], 16)
            if size == 0:
                while (line := self.until(b"\r\n")) not in (None, b"\r\n"):
                    pass
                return body, line is not None
            data, whole = self.exactly(size + 2)
            body += data[:size]
            if not whole:
                break
        return body, False


def headers_of(head: bytes) -> dict[str, str]:
    """Fields by lower-case name; of repeated ones the last."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.lower(): value.strip() for name, value in pairs}


def body_of(stream: Stream, headers: dict[str, str], *, until_close: bool) -> tuple[bytes, bool]:
    """A body and whether it came whole."""
    if headers.get("transfer-encoding") == "chunked":
        return stream.chunked()
    if "content-length" in headers:
        return stream.exactly(int(headers["content-length"]))
    return (stream.rest(), True) if until_close else (b"", True)


def read_answer(stream: Stream, method: str) -> Answer | None:
    """The next final answer; None when the stream ends first."""
    while (head := stream.until(b"\r\n\r\n")) is not None:
        status = int(head[9:12]) if head[9:12].isdigit() else 0  # 0: not an answer at all
        if 100 <= status < 200:
            continue
        headers = headers_of(head)
        if method == "HEAD" or status in (204, 304):
            return Answer(status, headers, b"", True)
        body, whole = body_of(stream, headers, until_close=True)
        return Answer(status, headers, body, whole)
    return None


def send(target: Address, data: bytes) -> Stream:
    """A connection on which `data` was sent, as far as the other side let us."""
    sock = socket.create_connection(target)
    # When it was answered and closed before everything was sent, the answer is what counts.
    with contextlib.suppress(OSError):
        sock.sendall(data)
    return Stream(sock)


class Upstream:
    """Listens where the node forwards to; subclasses say what one connection does."""

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self._listener.settimeout(None)
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                sock, _ = self._listener.accept()
                sock.settimeout(None)  # the node decides how long an idle connection lives
                self._open.add(sock)
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        # When the other side left, or sent nonsense, the checks find what is missing.
        with sock, contextlib.suppress(OSError, ValueError):
            self.serve(Stream(sock))
        self._open.discard(sock)

    def serve(self, stream: Stream) -> None:
        """One connection."""
        raise NotImplementedError

    def close(self) -> None:
        """Stops listening and ends every connection."""
        for sock in (self._listener, *self._open):
            with contextlib.suppress(OSError):  # gone already
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Recorder(Upstream):
    """Answers 200 to every whole request and keeps what it got."""

    def __init__(self, port: int) -> None:
        self.received: list[Received] = []
        super().__init__(port)

    def serve(self, stream: Stream) -> None:
        """Reads requests, answers each once it is whole."""
        while stream.buffer or stream.more():
            got = Received(b"")
            self.received.append(got)
            head = stream.until(b"\r\n\r\n")
            got.head = head or stream.buffer
            if head is None:
                return
            got.body, got.whole = body_of(stream, headers_of(head), until_close=False)
            if not got.whole:
                return
            stream.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def take(self) -> list[Received]:
        """What came since the last call."""
        got, self.received = self.received, []
        return got


class Player(Upstream):
    """Answers `GET /<id>` with the bytes of that case, and notes reuse of a connection."""

    def __init__(self, port: int, cases: Iterable[Case]) -> None:
        self.cases = {case.id: case for case in cases}
        #: Cases after which their connection carried another request.
        self.reused: set[str] = set()
        super().__init__(port)

    def serve(self, stream: Stream) -> None:
        """Plays one case a request, for as long as the node uses the connection."""
        played: list[str] = []
        while (head := stream.until(b"\r\n\r\n")) is not None:
            self.reused.update(played)
            case = self.cases[head.split(b" ")[1][1:].decode()]
            played.append(case.id)
            stream.sock.sendall(case.wire)
            ends = case.cut or case.layer == "body"
            if ends or not any(a.keep_alive and not a.interim for a in case.accepts):
                stream.sock.shutdown(socket.SHUT_WR)


@dataclass
class Tally:
    """What the cases of one group got."""

    cases: int = 0
    got: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def check_request(case: Case, target: Address, recorder: Recorder) -> tuple[str, str]:
    """What a request case got, and what is wrong with that (empty when nothing is)."""
    taken = 0 if case.layer == "path" else len(case.accepts)
    stream = send(target, case.wire)
    with stream.sock:
        if case.cut:
            stream.sock.shutdown(socket.SHUT_WR)
        answers = [a for _ in range(taken) if (a := read_answer(stream, "GET"))]
        last = read_answer(stream, "GET") if case.status or case.cut else None
        # Refused for what it asks, not for how it is written: the connection may live on.
        asks = case.layer in ("path", "upgrade")
        closes = not asks and (case.status or case.cut or not case.accepts[-1].keep_alive)
        ended = not stream.rest() and not stream.timed_out if closes else True
    received = recorder.take()
    got = str(last.status) if last else ("closed" if case.cut else str([a.status for a in answers]))
    if [a.status for a in answers] != [200] * taken:
        return got, f"{taken} requests were to be taken, got {[a.status for a in answers]}"
    if not ended:
        return got, "the connection does not end"
    wrong = _refusal(case, last, closes=bool(closes))
    return got, wrong or _forwarded(case, received, taken)


def _refusal(case: Case, last: Answer | None, *, closes: bool) -> str:
    if case.cut:
        return "" if last is None or last.status in (400, 408) else f"answered {last.status}"
    if not case.status:
        return ""
    if last is None:
        return f"no answer instead of {case.status}"
    if last.status != case.status:
        return f"{last.status} instead of {case.status}"
    if "error=" not in last.headers.get("proxy-status", ""):
        return "no reason in Proxy-Status"
    says = last.headers.get("connection") == "close"
    return "does not say connection: close" if closes and not says else ""


def _forwarded(case: Case, received: list[Received], taken: int) -> str:
    whole = [r for r in received if r.whole]
    if len(whole) != taken:
        return f"{len(whole)} whole requests reached the upstream instead of {taken}"
    if case.layer in ("head", "path", "upgrade") and len(received) != taken:
        return "a part of it reached the upstream"
    for accept, got in zip(case.accepts, whole, strict=False):
        names = headers_of(got.head)
        if got.body != accept.body:
            return f"the upstream got the body {got.body[:40]!r}"
        if any(n not in names for n in accept.kept) or any(n in names for n in accept.dropped):
            return f"the upstream got the fields {sorted(names)}"
    return ""


def check_response(case: Case, target: Address) -> tuple[str, str]:
    """What the client got for an upstream's answer, and what is wrong with that."""
    request = f"{case.method} /{case.id} HTTP/1.1\r\nHost: a.example\r\n\r\n"
    stream = send(target, request.encode())
    with stream.sock:
        answer = read_answer(stream, case.method)
        if answer is None:
            truncated = case.layer == "body" and not stream.timed_out
            return ("cut", "") if truncated else ("nothing", "no answer")
    final = [a for a in case.accepts if not a.interim]
    got = str(answer.status) if answer.whole else f"{answer.status} truncated"
    if final:
        expected = (final[0].status, final[0].body, True)
        same = (answer.status, answer.body, answer.whole) == expected
        return got, "" if same else f"{got} {answer.body[:40]!r} instead of {expected}"
    if case.layer == "body" and not answer.whole:
        return got, ""
    if answer.status != 502:
        return got, f"{got} instead of 502"
    return got, "" if "error=" in answer.headers.get("proxy-status", "") else "no reason"


def drill_requests(target: Address, port: int) -> dict[str, Tally]:
    """Every request case."""
    recorder = Recorder(port)
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    for case in load("requests.jsonl"):
        _note(tallies[case.group], case.id, *check_request(case, target, recorder))
    recorder.close()
    return tallies


def drill_responses(target: Address, port: int) -> dict[str, Tally]:
    """Every answer case; each is followed by the next on whatever connection the node has."""
    cases = load("responses.jsonl")
    player = Player(port, cases)
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    for case in cases:
        _note(tallies[case.group], case.id, *check_response(case, target))
    for case in cases:
        final = [a for a in case.accepts if not a.interim]
        if case.id in player.reused and not (final and final[0].keep_alive):
            tallies[case.group].failures.append(f"{case.id}: its connection was used again")
    player.close()
    return tallies


def _note(tally: Tally, case_id: str, got: str, wrong: str) -> None:
    tally.cases += 1
    tally.got[got] += 1
    if wrong:
        tally.failures.append(f"{case_id}: {wrong}")


def render(title: str, tallies: dict[str, Tally]) -> str:
    """A Markdown table, and the cases that got something else."""
    rows = [
        f"## {title}",
        "",
        "| class | cases | as expected | what they got |",
        "|---|---|---|---|",
    ]
    failures: list[str] = []
    for group, tally in tallies.items():
        right = tally.cases - len({f.split(":")[0] for f in tally.failures})
        got = ", ".join(f"{what}: {n}" for what, n in tally.got.most_common())
        rows.append(f"| {group} | {tally.cases} | {right} | {got} |")
        failures += [f"- {failure}" for failure in tally.failures]
    total = sum(t.cases for t in tallies.values())
    rows += ["", f"{total} cases, {len(failures)} with another outcome.", *failures, ""]
    return "\n".join(rows)


def main() -> int:
    """0 when every case got what the corpus says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", default="127.0.0.1:8000", help="the node, host:port")
    parser.add_argument("--upstream-port", type=int, required=True, help="where we listen")
    parser.add_argument("--deadline", type=float, default=10.0, help="seconds for one read")
    options = parser.parse_args()
    socket.setdefaulttimeout(options.deadline)
    host, _, port = options.target.rpartition(":")
    target = (host.strip("[]"), int(port))
    requests = drill_requests(target, options.upstream_port)
    responses = drill_responses(target, options.upstream_port)
    sys.stdout.write(render("Requests", requests))
    sys.stdout.write(render("Answers of upstreams", responses))
    failed = any(t.failures for t in (*requests.values(), *responses.values()))
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())

"""Programs with protocols of their own through TCP and UDP routes: STARTTLS of SMTP, iperf3."""

import json
import random
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from mail_server import HOST, mail_server
from peers import ROOT_ONLY, peer
from ports import free_port
from running_node import RunningNode
from tls_authority import Authority
from told import until_metric, until_metric_at_least
from waiting import DEADLINE_S, until

STREAMS = 4


def _most_buffered(kind: str) -> int:
    """The bytes that the kernel grants one socket of TCP as its buffer of this kind."""
    return int(Path(f"/proc/sys/net/ipv4/tcp_{kind}mem").read_text().split()[2])


IN_FLIGHT = STREAMS * 2 * (_most_buffered("r") + _most_buffered("w"))
"""Bytes that the buffers of all streams may hold, before the node and behind it: iperf3 ends a run
without waiting for them."""
PASSED = 192 << 20
"""Bytes that pass whatever the buffers hold."""

ROUTES = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.tcp]
address = "127.0.0.1:{port}"
protocol = "tcp"

[listeners.udp]
address = "127.0.0.1:{port}"
protocol = "udp"

[tcp_routes.raw]
listeners = "tcp"
upstream = "raw"

[udp_routes.raw]
listeners = "udp"
upstream = "raw"

[upstreams.raw]
endpoints = ["127.0.0.1:{endpoint}"]
"""


@contextmanager
def node(folder: Path, port: int, endpoint: int) -> Iterator[RunningNode]:
    """A node that passes both protocols of a port on."""
    text = ROUTES.format(port=port, endpoint=endpoint)
    with RunningNode(folder, text).until_ready() as running:
        yield running


class Dialogue:
    """An SMTP client that is `openssl s_client`: lines out, replies in."""

    def __init__(self, port: int, ca_file: Path) -> None:
        command = [str(peer("openssl")), "s_client", "-starttls", "smtp", "-quiet", "-crlf"]
        command += ["-connect", f"127.0.0.1:{port}", "-CAfile", str(ca_file)]
        command += ["-verify_return_error", "-verify_hostname", HOST]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._client: subprocess.Popen[str] = subprocess.Popen(
            command,
            stderr=subprocess.DEVNULL,
            text=True,
            **pipes,  # type: ignore[call-overload]
        )

    def _pipe(self, which: IO[str] | None) -> IO[str]:
        assert which is not None
        return which

    def reply(self) -> str:
        """The last line of the next reply."""
        while line := self._pipe(self._client.stdout).readline():
            if line[3:4] != "-":
                return line.strip()
        return ""

    def say(self, text: str) -> str:
        """Sends lines; returns the reply to the last one."""
        print(text, file=self._pipe(self._client.stdin), flush=True)
        return self.reply()

    def close(self) -> int:
        """Ends it; returns its exit code."""
        self._pipe(self._client.stdin).close()
        code = self._client.wait(DEADLINE_S)
        self._pipe(self._client.stdout).close()
        return code


@ROOT_ONLY
def test_an_smtp_dialogue_begins_tls_in_its_midst(folder: Path, port: int) -> None:
    authority = Authority(folder)
    place = folder / "mail"
    place.mkdir()
    folder.chmod(0o755)
    with (
        mail_server(place, authority.issue("mail", HOST)) as server,
        node(folder, port, server.port) as running,
    ):
        talk = Dialogue(port, authority.ca_file)
        assert talk.say("EHLO client.example") == "250 HELP"
        assert talk.say("MAIL FROM:<a@client.example>") == "250 OK"
        assert talk.say(f"RCPT TO:<b@{HOST}>") == "250 Accepted"
        assert talk.say("DATA").startswith("354 ")
        assert talk.say("Subject: by hand\n\nthe body\n.").startswith("250 OK id=")
        assert talk.say("QUIT").startswith("221 ")
        assert talk.close() == 0
        assert server.bodies() == [b"the body\n"]
        until(lambda: running.metric("headgate_tcp_connections") == 0, "the client has left")


@ROOT_ONLY
def test_mail_of_megabytes_arrives_whole_and_only_under_tls(folder: Path, port: int) -> None:
    authority = Authority(folder)
    place = folder / "mail"
    place.mkdir()
    folder.chmod(0o755)
    rng = random.Random(25)  # noqa: S311 - bytes of a test
    body = "\n".join(rng.randbytes(rng.randint(1, 400)).hex() for _ in range(10_000)) + "\n"
    with (
        mail_server(place, authority.issue("mail", HOST)) as server,
        node(folder, port, server.port),
        smtplib.SMTP("127.0.0.1", port, timeout=DEADLINE_S) as client,
    ):
        client.ehlo()
        client.mail("a@client.example")
        assert client.rcpt(f"b@{HOST}")[0] == 550
        client.rset()
        context = ssl.create_default_context(cafile=authority.ca_file)
        context.check_hostname = False  # smtplib asks for the address that it connects to
        client.starttls(context=context)
        refused = client.sendmail("a@client.example", [f"b@{HOST}"], f"Subject: much\n\n{body}")
        assert refused == {}
        assert server.bodies() == [body.encode()]


@pytest.mark.parametrize("direction", [(), ("--reverse",)], ids=["up", "down"])
@pytest.mark.parametrize(
    "kind",
    [
        ("--bytes", str(PASSED + IN_FLIGHT), "--parallel", str(STREAMS)),
        # So few and so slow that none is lost in the kernel while the node is kept from running for
        # seconds: the buffer of one socket holds some 270 of them.
        ("--udp", "--bytes", "5K", "--length", "100", "--bandwidth", "25K"),
    ],
    ids=["tcp", "udp"],
)
def test_iperf3_runs_both_ways(
    folder: Path, port: int, kind: tuple[str, ...], direction: tuple[str, ...]
) -> None:
    iperf, endpoint = str(peer("iperf3")), free_port()
    pipes = {"stdout": subprocess.PIPE, "text": True}
    command = [iperf, "--server", "--bind", "127.0.0.1", "--port", str(endpoint), "--json"]
    with (
        node(folder, port, endpoint) as running,
        subprocess.Popen(
            [*command, "--one-off", "--forceflush"],
            **pipes,  # type: ignore[call-overload]
        ) as server,
    ):
        try:
            until(lambda: _listens(endpoint), "iperf3 listens")
            at = ["--client", "127.0.0.1", "--port", str(port), "--json"]
            done = subprocess.run(
                [iperf, *at, *kind, *direction],
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            there, _ = server.communicate(timeout=DEADLINE_S)
        finally:
            server.kill()
        ends = [json.loads(text)["end"] for text in (done.stdout, there)]
        way = "sent" if direction else "received"
        if kind[0] == "--udp":
            sums = [end["sum"] for end in ends]
            assert [one["lost_packets"] for one in sums] == [0, 0]
            sent = sums[1 if direction else 0]["packets"]
            assert sent >= 50
            passed = f'headgate_udp_datagrams_total{{direction="{way}"}}'
            # iperf3 ends its run over TCP, whatever datagrams the node still holds.
            late = 'headgate_udp_dropped_total{reason="endpoint-unreachable"}'
            # One more opens the stream.
            until(
                lambda: running.metric(passed) + running.metric(late) == sent + 1,
                "every datagram has passed, or came after iperf3 had left",
            )
            until_metric(running, "headgate_udp_flows_opened_total", 1)
            return
        sent, received = ends[0]["sum_sent"]["bytes"], ends[0]["sum_received"]["bytes"]
        assert sent >= PASSED + IN_FLIGHT
        assert sent - IN_FLIGHT <= received <= sent
        until_metric_at_least(running, f"proxy_bytes_{way}_total", received)


def _listens(port: int) -> bool:
    """Whether a TCP port is listened at, without a connection: iperf3 would take it for its run."""
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") and row.split()[3] == "0A" for row in rows)

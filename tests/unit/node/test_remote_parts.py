"""The pure parts of a control link over TCP: greeting, who holds it, certificates in words."""

import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from odd_certificates import KEY_PEM, ODD, latin_name
from tls_authority import Authority

from headgate.node.gate.holder import SILENCE_S, Holder, Holding, silence
from headgate.node.gate.port import PortError, open_port
from headgate.node.gate.refusals import Refusals
from headgate.node.remote import greeting
from headgate.node.remote.credentials import Credentials, CredentialsError, is_over
from headgate.node.remote.families import families
from headgate.node.remote.greeting import GreetingError, Hello
from headgate.node.remote.peer import Certificate, LinkStatus, Peer, met, misnamed
from headgate.node.remote.target import Files

CERTIFICATE = Certificate("CN=control.test", ["control.test"], 2e9)


def hello(
    to: str = "supervisor.sock", instance: str = "a", link: tuple[int, int] = (1, 1)
) -> Hello:
    """What a control plane says."""
    return Hello(link, to, instance, "1.2.3", "ctl-1", 7)


def holding(instance: str) -> Holding:
    """A control plane that is let in."""
    peer = Peer("10.0.0.9:1234", "ctl-1", 7, "1.2.3", CERTIFICATE)
    return Holding(instance, peer, 1, since=0.0, heard=100.0, contact=0.0)


def test_a_greeting_survives_the_wire_and_unknown_fields_of_newer_programs() -> None:
    line = greeting.line(hello())
    assert greeting.hello_of(line) == hello()
    newer = line.replace(b'{"link"', b'{"of_tomorrow":1,"link"')
    assert greeting.hello_of(newer) == hello()


@pytest.mark.parametrize(
    "to",
    [
        "",
        "../supervisor.sock",
        "/etc/passwd",
        "admin.sock",
        "dp-1.sock/x",
        "dp-1.sock\n",
        "dp-.sock",
    ],
)
def test_no_greeting_opens_another_file_than_a_socket_of_this_node(to: str) -> None:
    with pytest.raises(GreetingError):
        greeting.hello_of(greeting.line(hello(to)))


@pytest.mark.parametrize("to", ["supervisor.sock", "dp-1.sock", "dp-3fa2b1-12.sock"])
def test_a_greeting_may_name_the_sockets_of_a_node(to: str) -> None:
    assert greeting.hello_of(greeting.line(hello(to))).to == to


@pytest.mark.parametrize("raw", [b"", b"GET / HTTP/1.1\r\n", b"[]\n", b'{"link":[1]}\n'])
def test_other_first_lines_are_refused(raw: bytes) -> None:
    with pytest.raises(GreetingError):
        greeting.hello_of(raw)


def test_a_program_one_version_older_or_newer_is_understood_if_versions_overlap() -> None:
    assert greeting.agreed((1, 2), (1, 1)) == 1
    assert greeting.agreed((1, 1), (1, 2)) == 1
    assert greeting.agreed((2, 3), (1, 1)) is None


def test_a_version_that_is_not_spoken_is_refused_with_who_must_be_upgraded() -> None:
    newer = greeting.disagreement(hello(link=(2, 3)), "0.1", (1, 1))
    assert "speaks version 2 to 3" in newer and newer.endswith("upgrade the data plane")
    older = greeting.disagreement(hello(link=(1, 1)), "0.9", (2, 2))
    assert older.endswith("upgrade the control plane")


def test_a_second_control_plane_is_told_who_holds_the_link() -> None:
    holder = Holder()
    assert holder.objection(hello()) is None
    holder.take(holding("a"))
    refused = holder.objection(hello(instance="b"))
    assert refused is not None and refused.reason == "held"
    for word in ("ctl-1", "pid 7", "10.0.0.9:1234", "1.2.3", "1970-01-01T00:00:00"):
        assert word in refused.error


def test_the_next_control_plane_comes_in_when_the_first_one_is_gone() -> None:
    holder = Holder()
    first = holding("a")
    holder.take(first)
    assert holder.leave(first)
    assert holder.objection(hello(instance="b")) is None


def test_a_control_plane_that_comes_back_takes_the_place_of_its_own_dead_link() -> None:
    holder = Holder()
    dead, back = holding("a"), holding("a")
    holder.take(dead)
    assert holder.objection(hello(instance="a")) is None
    holder.take(back)
    assert not holder.leave(dead)  # its end is noticed late, and must not free the place
    assert holder.current is back


@pytest.mark.parametrize("held", [None, "b"])
def test_only_who_holds_the_link_reaches_data_planes(held: str | None) -> None:
    holder = Holder()
    if held is not None:
        holder.take(holding(held))
    assert holder.objection(hello("dp-1.sock", "a")) is not None
    holder.take(holding("a"))
    assert holder.objection(hello("dp-1.sock", "a")) is None


def test_a_silent_control_plane_is_gone_after_a_while() -> None:
    assert silence(holding("a"), 100.0 + SILENCE_S - 1) == pytest.approx(1.0)
    assert silence(holding("a"), 100.0 + SILENCE_S) <= 0


def test_the_log_names_the_same_refusal_once_a_minute_and_counts_each() -> None:
    refusals = Refusals()
    said = [refusals.add("held", "10.0.0.1", "held", now) for now in (0.0, 1.0, 59.0, 61.0)]
    assert said == [True, False, False, True]
    assert refusals.add("name", "10.0.0.1", "other", 1.0)
    assert refusals.counts == {"held": 4, "name": 1}
    assert refusals.last == "10.0.0.1: other"


def test_a_wanted_name_must_be_in_the_certificate() -> None:
    assert misnamed(CERTIFICATE, []) == ""
    assert misnamed(CERTIFICATE, ["a.test", "control.test"]) == ""
    assert "control.test" in misnamed(CERTIFICATE, ["a.test"])
    assert "no name" in misnamed(Certificate("CN=a.test", [], 0.0), ["a.test"])


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "does not answer"),
        (EOFError(), "hung up"),
        (ConnectionRefusedError(111, "Connect call failed"), "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), "name or service not known"),
        (ssl.SSLError(1, "wrong version"), "tls failed"),
    ],
)
def test_what_a_connection_met_is_said_in_words(error: Exception, words: str) -> None:
    assert words in met(error, "dp.test").lower()


def files(tmp_path: Path, days: int = 30) -> Files:
    """A pair of an authority of its own."""
    authority = Authority(tmp_path)
    pair = authority.issue("dp", "dp.test", days=days)
    return Files(str(pair.cert_file), str(pair.key_file), str(authority.ca_file))


def test_renewed_files_are_used_and_the_same_ones_are_not_read_as_new(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("dp", "dp.test")
    its = Files(str(pair.cert_file), str(pair.key_file), str(authority.ca_file))
    credentials = Credentials(its, is_server=True)
    before = credentials.context
    assert not credentials.renewed()
    authority.issue("dp", "other.test")
    assert credentials.renewed()
    assert credentials.context is not before
    assert credentials.certificate.names == ["other.test"]
    assert not credentials.renewed()


def test_bad_new_files_are_reported_once_and_the_last_good_ones_stay(tmp_path: Path) -> None:
    its = files(tmp_path)
    credentials = Credentials(its, is_server=True)
    before = credentials.context
    key = Path(its.key).read_bytes()
    Path(its.key).write_text("no key")
    with pytest.raises(CredentialsError, match="do not make a pair"):
        credentials.renewed()
    assert not credentials.renewed()
    assert credentials.context is before
    Path(its.key).unlink()
    with pytest.raises(CredentialsError, match="cannot be read"):
        credentials.renewed()
    assert not credentials.renewed()
    Path(its.key).write_bytes(key)
    assert not credentials.renewed()
    assert credentials.context is before


def test_each_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    its = files(tmp_path)
    other = Authority(tmp_path, "other").issue("other", "other.test")
    with pytest.raises(CredentialsError, match=r"nowhere\.pem cannot be read: no such file"):
        Credentials(Files(str(tmp_path / "nowhere.pem"), its.key, its.ca), is_server=True)
    with pytest.raises(CredentialsError, match="do not make a pair"):
        Credentials(Files(its.cert, str(other.key_file), its.ca), is_server=True)
    with pytest.raises(CredentialsError, match="holds no certificate of a CA"):
        Credentials(Files(its.cert, its.key, its.key), is_server=True)
    with pytest.raises(CredentialsError, match="holds no certificate that can be read; write PEM"):
        Credentials(Files(its.key, its.key, its.ca), is_server=True)


def test_an_expired_certificate_is_known_as_such(tmp_path: Path) -> None:
    assert is_over(Credentials(files(tmp_path, days=-1), is_server=False).certificate)
    assert not is_over(CERTIFICATE)


def test_a_busy_port_is_refused_with_who_holds_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        address = f"127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(PortError, match=rf"(?s){address}.*pid {os.getpid()}.*--listen"):
            open_port(address)


def test_the_metrics_say_whether_the_link_is_up() -> None:
    link = LinkStatus("control", "a:1", False, 5.0, 0.0, CERTIFICATE)
    page = "".join(families(link, {"held": 2}))
    assert "\nheadgate_link_connected 0\n" in page
    assert '\nheadgate_link_refused_total{reason="held"} 2\n' in page
    assert '{end="own"} 2000000000\n' in page
    assert 'end="peer"' not in page


@pytest.mark.parametrize("make", ODD)
@pytest.mark.parametrize("is_server", [True, False])
def test_a_certificate_that_cannot_be_read_in_full_is_refused_with_its_file(
    tmp_path: Path, make: Callable[[], bytes], is_server: bool
) -> None:
    its = files(tmp_path)
    Path(its.cert).write_bytes(make())
    Path(its.key).write_bytes(KEY_PEM)
    with pytest.raises(CredentialsError, match="holds no certificate that can be read; write PEM"):
        Credentials(its, is_server=is_server)


def test_the_last_good_certificate_stays_in_use_beside_one_that_cannot_be_read(
    tmp_path: Path,
) -> None:
    its = files(tmp_path)
    credentials = Credentials(its, is_server=True)
    context = credentials.context
    Path(its.cert).write_bytes(latin_name())
    with pytest.raises(CredentialsError):
        credentials.renewed()
    assert not credentials.renewed(), "it is said once"
    assert credentials.context is context

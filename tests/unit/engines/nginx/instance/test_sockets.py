"""Which listening socket stands in whose way, from a /proc that a test wrote."""

import ipaddress
from pathlib import Path

import pytest

from headgate.engines.nginx.instance.procfs import Procfs
from headgate.engines.nginx.instance.sockets import Listening, holder, in_the_way, parsed

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


def line(local: str, state: str = "0A", uid: int = 0, inode: int = 500) -> str:
    """A line of /proc/net/tcp."""
    zeros = "00000000:0000"
    return f"   0: {local} {zeros} {state} 00000000:00000000 00:00000000 00000000 {uid} 0 {inode}\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A procfs in which 0.0.0.0:80 and 127.0.0.1:8080 are held by pid 42, uid 33."""
    for pid in ("self", "7"):
        net = tmp_path / pid / "net"
        net.mkdir(parents=True)
        tcp = line("00000000:0050", uid=33) + line("0100007F:1F90", uid=33)
        (net / "tcp").write_text(HEAD + tcp + line("0100007F:1F91", "01"))
        (net / "tcp6").write_text(HEAD + line("0" * 32 + ":01BB", uid=33))
    for pid, sockets in (("42", [500]), ("7", [])):
        fds = tmp_path / pid / "fd"
        fds.mkdir(parents=True)
        for number, inode in enumerate(sockets):
            (fds / str(number)).symlink_to(f"socket:[{inode}]")
        (tmp_path / pid / "comm").write_text("apache2\n")
    (tmp_path / "7/status").write_text("Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "ip", "port"),
    [
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[::1]:443", "::1", 443),
        ("*:80", "0.0.0.0", 80),
        ("0.0.0.0:65535", "0.0.0.0", 65535),
    ],
)
def test_addresses_are_read(text: str, ip: str, port: int) -> None:
    assert parsed(text) == (ipaddress.ip_address(ip), port)


@pytest.mark.parametrize("text", ["80", "a.example:80", "127.0.0.1:", "127.0.0.1:65536", ""])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not an address|does not appear"):
        parsed(text)


@pytest.mark.parametrize(
    ("wanted", "there", "blocks"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("127.0.0.1:80", "127.0.0.1:81", False),
        ("127.0.0.1:80", "0.0.0.0:80", True),
        ("0.0.0.0:80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "[::]:80", True),
        ("127.0.0.1:80", "[::]:80", True),
        ("127.0.0.1:80", "[::1]:80", False),
        ("127.0.0.1:80", "[::ffff:127.0.0.1]:80", True),
        ("127.0.0.2:80", "[::ffff:127.0.0.1]:80", False),
        ("[::1]:80", "0.0.0.0:80", False),
        ("[::]:80", "0.0.0.0:80", False),
        ("[::1]:80", "[::]:80", True),
    ],
)
def test_wildcards_and_families_meet_as_the_kernel_has_them(
    wanted: str, there: str, blocks: bool
) -> None:
    ip, port = parsed(there)
    assert in_the_way(parsed(wanted), Listening(ip, port, 0, 1)) is blocks


def test_the_holder_is_named(proc: Path) -> None:
    assert holder(Procfs(proc), "127.0.0.1:80", None, lambda _: False) == "apache2 (pid 42)"
    assert holder(Procfs(proc), "127.0.0.1:8080", None, lambda _: False) == "apache2 (pid 42)"
    assert holder(Procfs(proc), "[::1]:443", None, lambda _: False) == "apache2 (pid 42)"


def test_a_connection_is_no_listener_and_a_free_port_has_no_holder(proc: Path) -> None:
    assert holder(Procfs(proc), "127.0.0.1:8081", None, lambda _: False) is None
    assert holder(Procfs(proc), "127.0.0.1:9", None, lambda _: False) is None


def test_the_instance_is_not_in_its_own_way(proc: Path) -> None:
    assert holder(Procfs(proc), "127.0.0.1:80", 7, lambda pid: pid == 42) is None


def test_a_holder_we_may_not_look_into_is_told_by_its_uid(proc: Path) -> None:
    (proc / "42/fd/0").unlink()
    told = holder(Procfs(proc), "127.0.0.1:80", 7, lambda _: False)
    assert told == "a process of uid 33 that headgate cannot examine"


def test_a_socket_of_the_masters_uid_is_its_own_only_while_its_files_are_hidden(
    proc: Path,
) -> None:
    (proc / "42/fd/0").unlink()
    (proc / "7/status").write_text("Uid:\t0\t0\t0\t33\nGid:\t0\t0\t0\t0\nGroups:\t\n")
    assert holder(Procfs(proc), "127.0.0.1:80", 7, lambda _: False) is not None
    (proc / "7/fd").rmdir()
    assert holder(Procfs(proc), "127.0.0.1:80", 7, lambda _: False) is None

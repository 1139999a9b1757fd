"""What an agent says of the certificates that its node serves with."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from odd_certificates import ODD, edi_name, latin_name
from tls_authority import Authority

from headgate.engines.status import CertificateStatus
from headgate.kernel.ids import ObjectName
from headgate.node.agent.inventory import inventory_of
from headgate.node.ports import Candidate
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Certificate


def served(pems: dict[str, bytes]) -> Candidate:
    """A config that serves with these certificates."""
    objects = {
        ObjectKey("certificate", ObjectName(name)): SimpleNamespace(
            value=Certificate(cert=name, key="k")  # type: ignore[arg-type]
        )
        for name in pems
    }
    return cast("Candidate", SimpleNamespace(plan=SimpleNamespace(objects=objects), blobs=pems))


def test_a_certificate_is_listed_with_its_names_and_its_end(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("one", "a.example", "b.example")
    found = inventory_of(served({"web": pair.cert_file.read_bytes(), "broken": b"no pem"}))
    assert found is not None
    assert found.total == 1
    (one,) = found.certificates
    assert (one.name, one.names) == ("web", ("a.example", "b.example"))
    assert len(one.fingerprint) == 64
    assert one.not_after_ms > 1_700_000_000_000
    assert inventory_of(None) is None


def test_those_of_a_watched_nginx_are_listed_by_their_paths(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("one", "a.example")
    watched = [
        CertificateStatus("/etc/a.pem", ("b.example",), 1_700_000_000.5, (), "some CA", "ab" * 32),
        CertificateStatus("/etc/unread.pem", (), 0.0, ("missing: no such file",)),
    ]
    found = inventory_of(served({"web": pair.cert_file.read_bytes()}), watched)
    assert found is not None
    assert found.total == 2
    first, second = found.certificates
    assert (first.name, first.names, first.issuer) == ("/etc/a.pem", ("b.example",), "some CA")
    assert (first.fingerprint, first.not_after_ms) == ("ab" * 32, 1_700_000_000_500)
    assert second.name == "web"


def test_what_is_listed_is_bounded(tmp_path: Path) -> None:
    names = [f"{'n' * 60}{number}.{'d' * 60}.example" for number in range(50)]
    pem = Authority(tmp_path).issue("one", "a.example", *names).cert_file.read_bytes()
    found = inventory_of(served({f"c{number:03d}": pem for number in range(300)}))
    assert found is not None
    assert found.total == 300
    assert 0 < len(found.certificates) < 200
    assert sum(len(name) for one in found.certificates for name in one.names) <= 256 << 10


@pytest.mark.parametrize("make", ODD)
def test_a_certificate_that_cannot_be_read_in_full_ends_nothing(
    tmp_path: Path, make: Callable[[], bytes]
) -> None:
    good = Authority(tmp_path).issue("one", "a.example").cert_file.read_bytes()
    found = inventory_of(served({"odd": make(), "web": good}))
    assert found is not None
    assert "web" in [one.name for one in found.certificates]


@pytest.mark.parametrize("make", [latin_name, edi_name])
def test_what_can_be_read_of_a_certificate_is_listed(make: Callable[[], bytes]) -> None:
    found = inventory_of(served({"odd": make()}))
    assert found is not None
    (one,) = found.certificates
    assert (one.name, one.names, one.issuer) == ("odd", (), "")
    assert len(one.fingerprint) == 64

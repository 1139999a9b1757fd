"""The ends of certificates, of which some cannot be read."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from odd_certificates import ODD
from tls_authority import Authority

from headgate.kernel.ids import ObjectName
from headgate.node.expiry import expiries
from headgate.node.ports import Candidate
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Certificate


@pytest.mark.parametrize("make", ODD)
def test_an_odd_certificate_costs_no_other_its_end(
    tmp_path: Path, make: Callable[[], bytes]
) -> None:
    good = Authority(tmp_path).issue("one", "a.example").cert_file.read_bytes()
    pems = {"odd": make(), "web": good}
    objects = {
        ObjectKey("certificate", ObjectName(name)): SimpleNamespace(
            value=Certificate(cert=name, key="k")  # type: ignore[arg-type]
        )
        for name in pems
    }
    served = SimpleNamespace(plan=SimpleNamespace(objects=objects), blobs=pems)
    assert "web" in dict(expiries(cast("Candidate", served)))

"""Renewals keep their distance, whatever the clock says."""

from pathlib import Path

import pytest
from fleet_ends import now

from headgate.certificates.authority import create, new_csr
from headgate.node.agent.renewing import Renewed
from headgate.providers.master.identity import Identity, IdentityStore


@pytest.fixture
def fresh(tmp_path: Path) -> Identity:
    csr = new_csr(IdentityStore(tmp_path).key())
    return Identity("a", "m", create("ca", now()).client(csr, "a", now()).decode(), "", ())


def test_a_part_of_the_life_passes_between_two_renewals(fresh: Identity) -> None:
    renewed, part = Renewed(), (fresh.not_after - fresh.not_before) / 12
    assert renewed.left_s(1000.0) == 0.0
    renewed.begin(fresh, 1000.0)
    assert renewed.left_s(1000.0) == part
    assert renewed.left_s(1000.0 + part) == 0.0


def test_a_clock_that_is_set_back_puts_no_renewal_off(fresh: Identity) -> None:
    renewed = Renewed()
    renewed.begin(fresh, 1e6)
    assert renewed.left_s(1000.0) == 0.0
    assert renewed.left_s(1e6) == 0.0


def test_a_clock_is_behind_if_the_certificate_s_life_begins_much_later(fresh: Identity) -> None:
    part = (fresh.not_after - fresh.not_before) / 12
    assert not Renewed.is_behind(fresh, fresh.not_before + 1)
    assert not Renewed.is_behind(fresh, fresh.not_before - part)
    assert Renewed.is_behind(fresh, fresh.not_before - part - 1)

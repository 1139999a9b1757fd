"""Endpoints as the files of a node tell them: names, orders and what checks concluded."""

from pathlib import Path

import pytest

from headgate.engines.nginx.checks.answer import Failure
from headgate.engines.nginx.checks.known import KnownHealth
from headgate.engines.nginx.checks.orders import KeptOrders
from headgate.engines.nginx.drive.pins import Pins
from headgate.engines.nginx.upkeep.standing import standing
from headgate.plan.objects import Endpoint, Health, HealthCheck, Upstream
from headgate.plan.plan import entry, plan_of

NAMED, ONE, TWO = "app.invalid:80", "127.0.0.1:1", "127.0.0.1:2"
APP = Upstream((Endpoint(NAMED), Endpoint(ONE), Endpoint(TWO)), health=Health(check=HealthCheck()))
PLAN = plan_of([entry("upstream", "app", APP)])


def test_an_untouched_folder_has_all_of_them(tmp_path: Path) -> None:
    plan = plan_of([entry("upstream", "app", Upstream((Endpoint(ONE),)))])
    found = standing(tmp_path / "none", plan)
    assert (found.addresses, found.out) == ({}, {})
    assert not (tmp_path / "none").exists()


def test_what_the_node_keeps_counts(tmp_path: Path) -> None:
    Pins(tmp_path, lambda _: ("10.0.0.1", "10.0.0.2")).asked(["app.invalid"])
    KeptOrders(tmp_path).write({("app", ONE): "maintenance"})
    down = Failure("check-connect", "refused")
    up = {("app", TWO): None, ("app", "10.0.0.1:80"): None}
    KnownHealth(tmp_path).write(up | {("app", "10.0.0.2:80"): down})
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    found = standing(tmp_path, PLAN)
    assert found.addresses == {"app.invalid": ("10.0.0.1", "10.0.0.2")}
    assert found.out == {"app": frozenset({ONE, "10.0.0.2:80"})}
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_orders_that_cannot_be_read_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "orders.json").write_text("{ half")
    with pytest.raises(OSError, match=r"orders\.json"):
        standing(tmp_path, PLAN)

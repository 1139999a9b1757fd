"""Orders and the pace of reloads, beside an engine that only remembers what it was asked."""

import asyncio
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import loops
import pytest
from waiting import until_async

from headgate.compile.settings import NginxSettings
from headgate.engines.nginx.checks.orders import FILE, KeptOrders
from headgate.engines.nginx.drive.engine import NginxEngine
from headgate.engines.nginx.upkeep import checker as module
from headgate.engines.nginx.upkeep.checker import Checker
from headgate.plan.objects import Endpoint, Upstream
from headgate.plan.plan import entry, plan_of

ONE, TWO = "127.0.0.1:1", "127.0.0.1:2"
PLAN = plan_of([entry("upstream", "app", Upstream((Endpoint(ONE), Endpoint(TWO))))])


class Beside:
    """A checker of that plan; `why`, or an error, is what applies end with."""

    def __init__(self, root: Path, settings: NginxSettings | None = None) -> None:
        figures = SimpleNamespace(applied=0)
        self.engine = SimpleNamespace(
            root=root,
            settings=settings or NginxSettings(),
            front=SimpleNamespace(figures=figures),
            addresses={},
            served_out={},
        )
        self.why = ""
        self.error: Exception | None = None
        self.applies = 0
        self.told: list[tuple[object, ...]] = []
        engine = cast("NginxEngine", self.engine)
        self.checker = Checker(engine, lambda *said: self.told.append(said), self._apply)
        self.checker.serve(PLAN, {})

    async def _apply(self) -> str:
        self.applies += 1
        if self.error is not None:
            raise self.error
        if not self.why:
            self.engine.served_out = self.engine.out(PLAN, {})
            self.engine.front.figures.applied += 1
        return self.why

    def order(self, order: str, address: str = TWO) -> str:
        """What an order ends with."""
        return loops.run(self.checker.order("app", address, order))


def test_an_order_is_kept_before_nginx_follows(tmp_path: Path) -> None:
    beside = Beside(tmp_path)
    assert beside.order("drain") == ""
    assert beside.engine.served_out == {"app": frozenset({TWO})}
    assert KeptOrders(tmp_path).read() == {("app", TWO): "drain"}
    assert beside.order("drain") == ""
    assert beside.applies == 1, "it is no news"
    assert beside.order("ready") == ""
    assert beside.engine.served_out == {}
    assert KeptOrders(tmp_path).read() == {}


def test_an_order_that_nginx_does_not_follow_yet_is_kept_and_says_so(tmp_path: Path) -> None:
    beside = Beside(tmp_path)
    beside.why = "held by anna"
    said = "the order is kept, but nginx does not follow it yet: held by anna"
    assert beside.order("maintenance") == said
    assert Beside(tmp_path).checker.health()["app"][1][TWO].state == "maintenance"


@pytest.mark.parametrize(
    ("order", "address", "said"),
    [
        ("off", TWO, "`off` is not a state; write `ready`, `drain` or `maintenance`"),
        ("drain", "127.0.0.1:3", "the upstream `app` has no endpoint `127.0.0.1:3`"),
    ],
)
def test_a_wrong_order_changes_nothing(tmp_path: Path, order: str, address: str, said: str) -> None:
    beside = Beside(tmp_path)
    assert beside.order(order, address) == said
    assert beside.applies == 0
    assert not (tmp_path / FILE).exists()


def test_an_imported_config_takes_no_orders(tmp_path: Path) -> None:
    beside = Beside(tmp_path, NginxSettings(imported="/import"))
    assert beside.order("drain").startswith("the imported config runs as it is")
    assert beside.applies == 0


def test_an_order_that_cannot_be_kept_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    beside = Beside(folder)
    folder.rmdir()
    assert beside.order("drain").startswith("the order cannot be kept: ")
    assert beside.applies == 0
    assert beside.checker.health()["app"][1][TWO].takes


def test_damaged_orders_are_an_error_and_not_forgotten(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    with pytest.raises(OSError, match=FILE):
        Beside(tmp_path)


def test_checks_use_half_of_the_reloads_of_a_minute(tmp_path: Path) -> None:
    beside = Beside(tmp_path, NginxSettings(reloads_per_minute=4))
    assert beside.checker.wait_s() == 0
    for order in ("drain", "ready"):
        assert beside.order(order) == ""
    assert 0 < beside.checker.wait_s() <= 60
    beside.checker.reloads[0] = time.monotonic() - 60
    assert beside.checker.wait_s() == 0


def test_what_checks_found_is_put_in_force_after_an_error_that_nobody_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SETTLE_S", 0.0)
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    beside = Beside(tmp_path)
    beside.error = ValueError("unexpected")
    with pytest.raises(ValueError, match="unexpected"):
        beside.order("drain")
    beside.checker.serve(PLAN, {})

    async def play() -> None:
        following = [asyncio.ensure_future(one) for one in beside.checker.tasks()]
        await until_async(lambda: beside.applies > 2, "other tries")
        beside.error = None
        await until_async(lambda: bool(beside.engine.served_out), "the drain")
        for one in following:
            one.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    loops.run(play())
    assert beside.engine.served_out == {"app": frozenset({TWO})}
    assert [said[2] for said in beside.told if said[1] == "nginx.endpoints"] == [
        "the health of endpoints: unexpected",
        "the health of endpoints: it follows the health of endpoints again",
    ]

"""An agent whose disk takes nothing goes on, says so, and comes back by itself."""

import asyncio
import datetime as dt
import errno
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import loops
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from structlog.testing import capture_logs
from waiting import until_async

from headgate.certificates.authority import new_key
from headgate.fleet import agent_events as ev
from headgate.fleet import frames as fr
from headgate.kernel.errors import Invalid
from headgate.node.agent import agent as module
from headgate.node.agent import background
from headgate.node.agent.agent import Agent, Parts
from headgate.node.agent.carrier import Carrier
from headgate.node.agent.source import MasterSource
from headgate.node.agent.upgrading import Upgrading
from headgate.node.agent.url import MasterUrl
from headgate.node.pipeline import Pipeline
from headgate.providers.master.fallback import LinkError
from headgate.providers.master.identity import Identity, IdentityStore
from headgate.providers.master.incoming import Incoming
from headgate.providers.master.store import BundleStore

FULL = OSError(errno.ENOSPC, "No space left on device")


def identity(hours: tuple[float, float]) -> Identity:
    """An identity whose certificate is good between these hours from now."""
    key, now = new_key(), dt.datetime.now(dt.UTC)
    name = x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(hours=hours[0]))
        .not_valid_after(now + dt.timedelta(hours=hours[1]))
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM).decode()
    return Identity("agent-1", "master", pem, "", ())


class Office:
    """Gives certificates that are good between these hours from now."""

    renewed = 0
    hours: tuple[float, float] = (0, 24)

    async def enrol(self) -> Identity:
        raise AssertionError("it is enrolled")

    async def renew(self, identity_: Identity) -> Identity:
        del identity_
        self.renewed += 1
        return identity(self.hours)


def agent(folder: Path, office: Office) -> Agent:
    """An agent whose master does not answer."""

    def verify(raw: bytes, signature: bytes) -> object:
        raise Invalid("nothing", "nothing")

    async def dial(_: Identity) -> Carrier:
        raise LinkError("nobody is there")

    store = BundleStore(folder / "bundles", verify)  # type: ignore[arg-type]
    url = MasterUrl("grpcs", "master.example")
    source = MasterSource([], store, str(url))
    parts = Parts(url, IdentityStore(folder), store, Incoming(folder / "incoming"), source)
    pipeline = cast(Pipeline, SimpleNamespace(served=None))

    async def hand_over() -> None:
        raise AssertionError("nobody ordered an upgrade")

    upgrading = Upgrading(folder, "1.0.0", None, hand_over)
    return Agent(parts, pipeline, office, dial, fr.Instance("default", "nginx", ""), upgrading)


async def running(one: Agent, story: Callable[[], object]) -> None:
    task = asyncio.create_task(one.run())
    try:
        await until_async(lambda: task.done() or bool(story()), "the story")
        assert not task.done(), task.exception()
    finally:
        task.cancel()


def test_a_renewed_certificate_that_cannot_be_written_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    IdentityStore(tmp_path).keep(identity((-20, 4)))
    keep, office = IdentityStore.keep, Office()

    def kept(store: IdentityStore, what: Identity) -> None:
        if office.renewed < 3:
            raise FULL
        keep(store, what)

    monkeypatch.setattr(IdentityStore, "keep", kept)
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    one = agent(tmp_path, office)

    def is_renewed() -> bool:
        return one.status().certificate_not_after > time.time() + 20 * 3600

    with capture_logs() as lines:
        loops.run(running(one, is_renewed))

    told = [line["message"] for line in lines if line["event"] == "master.refused"]
    assert told == [f"renewal of the certificate: {FULL}"] * 2
    assert office.renewed == 3
    found = IdentityStore(tmp_path).identity()
    assert found is not None
    assert found.not_after == one.status().certificate_not_after


@pytest.mark.parametrize("hours", [(-24, 0.5), (-48, -24)])
def test_a_clock_that_is_ahead_does_not_renew_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: tuple[float, float]
) -> None:
    IdentityStore(tmp_path).keep(identity(hours))
    office, looks, later_s = Office(), 0, 0.0
    office.hours = hours
    one = agent(tmp_path, office)

    def clock() -> float:
        nonlocal looks
        looks += 1
        return time.time() + later_s

    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=clock, monotonic=time.monotonic))

    async def play() -> None:
        nonlocal later_s
        task = asyncio.create_task(one.run())
        try:
            await until_async(lambda: looks > 100, "looks at the clock")
            assert office.renewed == 1
            one._renew_within(0.0)
            await until_async(lambda: not one._renew_at, "what the master wants")
            assert office.renewed == 2
            later_s = 3 * 3600.0
            await until_async(lambda: office.renewed == 3, "a part of the certificate's life")
            assert not task.done()
        finally:
            task.cancel()

    loops.run(play())


@pytest.mark.parametrize("part", ["figures", "describe", "drift"])
def test_a_fault_in_what_is_told_beside_the_session_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    IdentityStore(tmp_path).keep(identity((0, 24)))
    monkeypatch.setattr(background, "_AGAIN_S", 0.0)
    one, asked = agent(tmp_path, Office()), 0

    async def asked_for(*_: object) -> None:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise ValueError("odd")
        await asyncio.Event().wait()

    drift = SimpleNamespace(run=asked_for, recall=lambda _: None)
    monkeypatch.setattr(one, part, drift if part == "drift" else asked_for)

    with capture_logs() as lines:
        loops.run(running(one, lambda: asked == 3))

    told = [line["work"] for line in lines if "broke off" in line["event"]]
    assert len(told) == 1, "the same fault is told once"


def test_a_disk_that_fails_what_is_told_is_still_one_of_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    IdentityStore(tmp_path).keep(identity((0, 24)))
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    one = agent(tmp_path, Office())

    async def figures() -> ev.Event:
        raise FULL

    one.figures = figures  # type: ignore[assignment]

    loops.run(running(one, lambda: one.status().last_error == f"the disk: {FULL}"))


def test_a_clock_that_is_behind_renews_while_the_certificate_counts_at_the_master(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = (9, 33)  # a clock that is nine hours behind the master's
    IdentityStore(tmp_path).keep(identity(hours))
    office, looks, later_s = Office(), 0, 0.0
    office.hours = hours
    one = agent(tmp_path, office)

    def clock() -> float:
        nonlocal looks
        looks += 1
        return time.time() + later_s

    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(time=clock, monotonic=time.monotonic))

    async def play() -> None:
        nonlocal later_s
        task = asyncio.create_task(one.run())
        try:
            await until_async(lambda: looks > 100, "looks at the clock")
            assert office.renewed == 1
            later_s = 2.1 * 3600
            await until_async(lambda: office.renewed == 2, "a part of the certificate's life")
            assert not task.done()
        finally:
            task.cancel()

    loops.run(play())


def test_a_clock_that_is_set_back_does_not_put_off_what_the_master_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    IdentityStore(tmp_path).keep(identity((0, 24)))
    office, later_s = Office(), 0.0
    one = agent(tmp_path, office)
    told = SimpleNamespace(time=lambda: time.time() + later_s, monotonic=time.monotonic)
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    monkeypatch.setattr(module, "time", told)

    async def play() -> None:
        nonlocal later_s
        task = asyncio.create_task(one.run())
        try:
            await until_async(lambda: one.status().dials > 0, "a session")
            one._renew_within(0.5)
            later_s = -3600.0
            await until_async(lambda: office.renewed == 1, "what the master wants")
        finally:
            task.cancel()

    loops.run(play())


def test_a_disk_that_takes_nothing_at_the_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    IdentityStore(tmp_path).keep(identity((0, 24)))
    next_epoch, failures = IdentityStore.next_epoch, [FULL, FULL]

    def counted(store: IdentityStore) -> int:
        if failures:
            raise failures.pop()
        return next_epoch(store)

    monkeypatch.setattr(IdentityStore, "next_epoch", counted)
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    one = agent(tmp_path, Office())

    loops.run(running(one, lambda: one.status().dials > 0))

    assert not failures


@pytest.mark.parametrize("is_driven", [True, False])
def test_a_damaged_identity_is_told_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_driven: bool
) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)
    file = tmp_path / "identity.json"
    file.write_bytes(b'{"agent":"\xff"}')
    one = agent(tmp_path, Office())
    one.counterpart = None

    async def play() -> None:
        task = asyncio.create_task(one.run() if is_driven else one.keep_identity())
        try:
            await until_async(lambda: task.done() or bool(one.status().last_error), "the word")
            assert "remove it, and enrol again with a new token" in one.status().last_error
            IdentityStore(tmp_path).keep(identity((0, 24)))
            await until_async(lambda: one._identity is not None, "the identity")
            assert not task.done()
        finally:
            task.cancel()

    with capture_logs():
        loops.run(play())


def test_it_dials_while_its_engine_is_asked_and_tells_the_answer(tmp_path: Path) -> None:
    IdentityStore(tmp_path).keep(identity((0, 24)))
    one = agent(tmp_path, Office())
    asked, answer = asyncio.Event(), asyncio.Event()
    able = fr.Instance("default", "nginx", "nginx/1.26", ("gzip",))
    posted: list[ev.Event] = []

    async def describe() -> fr.Instance:
        asked.set()
        await answer.wait()
        return able

    def dialled() -> bool:
        if asked.is_set() and one.status().dials > 0 and not posted:
            driver = one._driver
            assert driver is not None
            driver.post = posted.append  # type: ignore[method-assign,assignment]
            answer.set()
        return ev.Described((able,)) in posted

    one.describe = describe
    loops.run(running(one, dialled))

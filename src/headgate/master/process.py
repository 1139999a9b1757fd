"""The master's process: opens what it stands on, serves, and leaves on a signal."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import NamedTuple

import structlog
import uvicorn
from fastapi import FastAPI

from headgate.kernel.files import private_files
from headgate.master.agents_port import MasterCertificate, keep_from, names_of, open_port
from headgate.master.application import application
from headgate.master.background import kept_up
from headgate.master.backup.automatic import before_migration
from headgate.master.backup.places import Subject
from headgate.master.domains.agents.losing import Losing
from headgate.master.domains.drift.proposer import Proposer
from headgate.master.domains.metrics.thinner import Thinner
from headgate.master.domains.rollouts.driver import Driver
from headgate.master.domains.rollouts.driver import World as Driven
from headgate.master.domains.sessions.service import password_token, setup_token
from headgate.master.fleet.websocket import MAX_MESSAGE
from headgate.master.services import Master, assembled
from headgate.master.settings import Address, Settings
from headgate.master.sockets import MOST_CONNECTIONS
from headgate.master.store.abandoned import end_abandoned
from headgate.master.store.errors import StartError
from headgate.master.store.opening import COMMAND_S, Place, open_database, prepare
from headgate.master.store.scope import MASTER
from headgate.master.store.sealing import KEY_FILE, load_sealer
from headgate.master.telemetry.port import Metrics, metrics_application
from headgate.master.upkeep import Upkeep, rules
from headgate.master.upkeep import World as Kept

_BACKLOG = 1_024
_GRACE_S = 10
_MOST_SCRAPES = 20
_COLLECTED_AFTER = (20_000, 20, 10)
"""The thresholds of the garbage collector: what many agents have under way at the same moment lives
longer than 700 allocations, and would be looked at again and again."""


def now_ms() -> int:
    """Returns the time in milliseconds since 1970 (UTC)."""
    return time.time_ns() // 1_000_000


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process owns the signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone."""
        yield


async def run(settings: Settings, version: str) -> None:
    """Runs a master until SIGTERM or SIGINT; raises StartError."""
    gc.set_threshold(*_COLLECTED_AFTER)
    _raise_descriptor_limit()
    with private_files():
        lock = prepare(settings.directory)
        try:
            await _run(settings, version)
        finally:
            os.close(lock)


def _raise_descriptor_limit() -> None:
    """Takes as many descriptors as we may have: the usual soft limit (1024) is for select(2), and
    less than the connections of the REST port and of agents' streams."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # then the limit is what it was
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run(settings: Settings, version: str) -> None:
    sealer = load_sealer(settings.directory / KEY_FILE, settings.master_key)
    with contextlib.ExitStack() as sockets:
        listening = sockets.enter_context(contextlib.closing(listen_at(settings.listen)))
        metrics = settings.metrics_listen
        measuring = None
        if metrics is not None:
            opened = listen_at(metrics, "--metrics-listen")
            measuring = sockets.enter_context(contextlib.closing(opened))
        place = Place(settings.directory, settings.database_url)
        copy = before_migration(Subject(place, settings.master_key, version, now_ms))
        database = await open_database(place, now_ms, copy)
        try:
            master = assembled(database, sealer, now_ms)
            ports = _Ports(listening, measuring, version)
            await _serve(settings, master, application(master, version), ports)
        finally:
            await database.close()


class _Ports(NamedTuple):
    """The open sockets of the REST API and of the metrics, and the version that they tell."""

    rest: socket.socket
    metrics: socket.socket | None
    version: str


async def _serve(settings: Settings, master: Master, app: FastAPI, ports: _Ports) -> None:
    places = [one for one in (settings.listen, settings.agents_listen) if one is not None]
    await master.authority.authorities()
    names = names_of(places, settings.names)
    certificate = MasterCertificate(lambda: master.authority.current, names)
    master.authority.shows_in_rest = settings.has_fleet_tls
    config = _config(settings, app)
    async with contextlib.AsyncExitStack() as stack:
        following = asyncio.create_task(kept_up("authorities", master.authority.follow))
        stack.callback(following.cancel)
        if settings.has_fleet_tls:
            config.ssl = _context(certificate)
            context = config.ssl
            keeping = asyncio.create_task(
                kept_up("certificate", lambda: certificate.keep_in(context))
            )
            stack.callback(keeping.cancel)
        elif settings.tls is not None and config.ssl is not None:
            files, renewed = settings.tls, config.ssl
            keeping = asyncio.create_task(kept_up("certificate", lambda: keep_from(files, renewed)))
            stack.callback(keeping.cancel)
        if settings.agents_listen is not None:
            agents = await open_port(master.hub, certificate, settings.agents_listen)
            stack.push_async_callback(agents.stop)
            where = str(Address(settings.agents_listen.host, agents.port))
            structlog.get_logger().info("the master listens for agents", address=where)
        server = _Server(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _leave, server)
        host, port = ports.rest.getsockname()[:2]
        await stack.enter_async_context(_measuring(master, config, ports))
        await _announce(settings, master, Address(host, port))
        async with _working(master, settings), master.stalled.watching(server):
            await server.serve(sockets=[ports.rest])


@contextlib.asynccontextmanager
async def _measuring(master: Master, rest: uvicorn.Config, ports: _Ports) -> AsyncIterator[None]:
    """Serves the master's metrics for the block; with the REST port's TLS where others reach it."""
    if ports.metrics is None:
        yield
        return
    config = uvicorn.Config(
        metrics_application(Metrics(master, ports.version)),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        http="h11",
        limit_concurrency=_MOST_SCRAPES,
        timeout_graceful_shutdown=1,
    )
    config.load()
    address = Address(*ports.metrics.getsockname()[:2])
    config.ssl = None if address.is_loopback else rest.ssl
    server = _Server(config)
    scheme = "https" if config.ssl else "http"
    structlog.get_logger().info("metrics are served", url=f"{scheme}://{address}/metrics")
    serving = asyncio.create_task(server.serve(sockets=[ports.metrics]), name="metrics")
    try:
        async with master.stalled.watching(server):
            yield
    finally:
        server.should_exit = True
        await asyncio.wait([serving])


@contextlib.asynccontextmanager
async def _working(master: Master, settings: Settings) -> AsyncIterator[None]:
    """Drives the rollouts of the database and keeps it small, whenever no other master does, tells
    of agents that are gone, and keeps what nodes say of their traffic."""
    world = Driven(
        database=master.database,
        leases=master.leases,
        hub=master.hub,
        feeds=master.feeds,
        figures=master.figures,
        clock=master.clock,
    )
    kept = Kept(master.database, master.leases, master.clock, master.holder)
    thinner = Thinner(kept)
    proposing = Proposer(kept, master.sealer, master.feeds)
    losing = Losing(master.database, master.feeds, master.clock)
    works: dict[str, Callable[[], Awaitable[None]]] = {
        "rollouts": Driver(world, master.holder).run,
        "upkeep": Upkeep(kept, rules(settings.audit_days)).run,
        "lost agents": losing.run,
        "proposals of drift": proposing.run,
        "searches of other masters": master.relay.run,
        "fleet metrics": master.recorder.run,
        "older fleet metrics": thinner.run,
        "abandoned sessions": lambda: end_abandoned(master.database, COMMAND_S),
    }
    tasks = [asyncio.create_task(kept_up(what, work), name=what) for what, work in works.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _context(certificate: MasterCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate.load_into(context)
    return context


def _leave(server: uvicorn.Server) -> None:
    server.should_exit = True


def _config(settings: Settings, app: FastAPI) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # The one whose connections `unfinished` knows.
        http="h11",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
        # Events are short: deflate took a third of the time for each client, and kept a window
        # and a table for it.
        ws_per_message_deflate=False,
        ws_max_size=MAX_MESSAGE,
        ssl_certfile=str(settings.tls.certificate) if settings.tls else None,
        ssl_keyfile=str(settings.tls.key) if settings.tls else None,
    )
    try:
        config.load()
    except (ssl.SSLError, OSError) as error:
        raise StartError(
            f"the certificate and key of the REST port cannot be used: {error}; give a PEM"
            " certificate and the key that belongs to it"
        ) from error
    if config.ssl is not None:
        config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    return config


def listen_at(address: Address, option: str = "--listen") -> socket.socket:
    """Returns a listening socket; raises StartError, which names the option of the address."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Connections inherit it. Without, the body of an answer waits until the client's kernel has
        # acknowledged the head, 40 ms: asyncio sets it only where the socket names its protocol.
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        one.bind((address.host, address.port))
        one.listen(_BACKLOG)
    except OSError as error:
        one.close()
        reason = (error.strerror or str(error)).lower()
        raise StartError(
            f"{address} cannot be opened: {reason}; choose another one with {option}"
        ) from error
    return one


async def _announce(settings: Settings, master: Master, address: Address) -> None:
    """Prints the one-time links of the first start, and of a user who is to choose another
    password; then logs where the master serves. Raises StartError if there is no such user."""
    base = f"{'https' if settings.has_tls else 'http'}://{address}"
    token = await master.database.write(MASTER, lambda tx: setup_token(tx, master.clock()))
    if token is not None:
        # To the terminal, not into the log: it is as good as a password.
        sys.stdout.write(
            f"The master has no user yet. This link makes the first administrator, once, within"
            f" 24 hours:\n  {base}/setup#{token}\n"
        )
    if (name := settings.new_password) != "":
        given = await master.database.write(
            MASTER, lambda tx: password_token(tx, name, master.clock())
        )
        if given is None:
            raise StartError(f'no user is called "{name}"; give --new-password a user\'s name')
        sys.stdout.write(
            f"By this link {name} chooses another password, once, within 24 hours:\n"
            f"  {base}/setup#{given}\n"
        )
    sys.stdout.flush()
    # Who waits for this line, as `headgate up` does, finds the links before it.
    structlog.get_logger().info("the master serves", url=base)

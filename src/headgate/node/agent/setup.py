"""Puts an agent together: the only place that chooses its parts."""

import asyncio
import re
import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from headgate.fleet.frames import Instance
from headgate.fleet.manifest import Manifest
from headgate.kernel.errors import Invalid
from headgate.node.about import version
from headgate.node.agent.agent import Agent, Describe, Dial, Parts
from headgate.node.agent.carrier import Carrier, Credentials, GrpcCarrier
from headgate.node.agent.counterpart import Counterpart
from headgate.node.agent.drifting import Drifting, FleetDrift
from headgate.node.agent.figures import Measured
from headgate.node.agent.installing import CommandInstaller
from headgate.node.agent.office import Newcomer, RestOffice, join_token
from headgate.node.agent.places import folder
from headgate.node.agent.searching import Searches
from headgate.node.agent.siblings import together
from headgate.node.agent.source import MasterSource
from headgate.node.agent.upgrading import HandOver, Upgrading
from headgate.node.agent.url import MasterUrl, master_url
from headgate.node.link import SupervisorLink
from headgate.node.options import Options
from headgate.node.ports import Serving
from headgate.node.remote.link import RemoteLink
from headgate.node.source import fetched
from headgate.node.state import Node
from headgate.providers.master.bundle import Verify, verifier
from headgate.providers.master.fallback import Fallback
from headgate.providers.master.identity import Identity, IdentityError, IdentityStore
from headgate.providers.master.incoming import Incoming
from headgate.providers.master.store import BundleStore
from headgate.providers.master.websocket import Signer, WebSocketCarrier

if TYPE_CHECKING:
    from headgate.node.agent.imports import ImportFolders

_NO_LABEL = re.compile(r"[^A-Za-z0-9._-]")
_LONGEST_LABEL = 63
_DIAL_S = 12.0
"""One way may take so long; two fit into a dial of a session (`agent_session.GREETING_S`)."""


def agent_node(
    options: Options,
    link: SupervisorLink | RemoteLink,
    serving: Serving,
    door: socket.socket | None,
) -> Node:
    """Returns a node whose config comes from the master that the options name."""
    url = master_url(options.master or "")
    place = folder(Path(options.state_dir))
    identities = IdentityStore(place)
    store = BundleStore(place / "bundles", _verify(identities))
    own = [Path(path) for path in options.configs]
    imports = _imports(options, place)
    source = MasterSource(own, store, str(url), fetched(options), options.instance, imports)
    node = Node(options, source, link, serving, door)
    parts = Parts(url, identities, store, Incoming(place / "incoming"), source)
    # Of an nginx nothing is known before it was asked.
    name = options.instance or "default"
    first = Instance(name, options.engine, version() if options.engine == "native" else "")
    office = RestOffice(url, identities, join_token(), _hello(options))
    upgrading = _upgrading(options, place, link.upgrade)
    agent = Agent(parts, node.pipeline, office, _dialler(url, identities), first, upgrading)
    agent.events = node.events
    agent.searches = Searches(node.pipeline, node.events)
    agent.figures = Measured(serving)
    agent.engine = serving.status
    serving.on_applied = agent.applied
    if options.remote is not None and options.remote.fleet is not None:
        agent.counterpart = Counterpart(office, identities)
    agent.describe = _describer(source, serving, first)
    if isinstance(serving, Drifting):
        agent.drift = FleetDrift(serving, place)
    node.master = agent
    node.pipeline.on_served = source.served
    return node


def _imports(options: Options, place: Path) -> "ImportFolders | None":
    """Returns where imported nginx configs go; None for an engine that runs none."""
    if options.engine != "nginx":
        return None
    # Imported here, so that it costs a native node no memory.
    from headgate.node.agent.imports import ImportFolders

    return ImportFolders(place / "imports")


def _hello(options: Options) -> Newcomer:
    """Returns what the master is told of this agent when it enrols: the host, with the names of
    node and instance where it has any; and, of an instance, labels that say which share a host."""
    host = socket.gethostname()
    name = "-".join(part for part in (host, options.name, options.instance) if part)
    labels = options.labels
    if options.instance:
        there = _NO_LABEL.sub("-", host)[:_LONGEST_LABEL]
        labels = {**labels, "host": there, "instance": options.instance}
    return Newcomer(options.title or name, labels)


def _upgrading(options: Options, place: Path, hand_over: HandOver) -> Upgrading:
    """Returns what obeys orders to upgrade, of a node that has a command for them."""
    installer, shared = None, None
    if options.instance:
        shared = Path(options.agent_dir)
        hand_over = together(shared, options.instance, hand_over)
    if options.upgrade_command is not None:
        check = [sys.executable, "-P", "-m", "headgate.node", "--check", options.encode()]
        command = Path(options.upgrade_command)
        installer = CommandInstaller(command, check, place, shared=shared)
    return Upgrading(place, version(), installer, hand_over)


def _describer(source: MasterSource, serving: Serving, first: Instance) -> Describe:
    """Returns what asks the engine of this node what it can do."""

    async def describe() -> Instance | None:
        settings = await asyncio.to_thread(source.own_settings)
        able = None if settings is None else await serving.able(settings)
        if able is None:
            return None
        return Instance(first.name, first.engine, able.version, able.words)

    return describe


def _verify(identities: IdentityStore) -> Verify:
    """Returns what accepts the manifests that the keys of this agent's identity signed."""

    def verify(raw: bytes, signature: bytes) -> Manifest:
        try:
            identity = identities.identity()
        except IdentityError as error:
            raise Invalid(str(error), "enrol again") from error
        if identity is None:
            raise Invalid("this node has not enrolled yet", "enrol it first")
        return verifier(identity.keys)(raw, signature)

    return verify


def _dialler(url: MasterUrl, identities: IdentityStore) -> Dial:
    """Returns what opens a connection to the master with the agent's present certificate: by gRPC
    (`grpcs://`), by WebSocket (`wss://`), or by whichever passes (`https://`)."""

    async def grpc(identity: Identity) -> Carrier:
        key = await asyncio.to_thread(identities.key_pem)
        credentials = Credentials(identity.ca.encode(), key, identity.certificate.encode())
        return await _connected(GrpcCarrier(url.grpc, credentials))

    async def websocket(identity: Identity) -> Carrier:
        key = await asyncio.to_thread(identities.key_pem)
        # TLS may end before the master, at a proxy whose certificate the system trusts.
        context = ssl.create_default_context()
        context.load_verify_locations(cadata=identity.ca)
        signer = Signer(key, identity.certificate.encode())
        return await _connected(WebSocketCarrier(url.rest, context, signer))

    ways = {"grpcs": [grpc], "wss": [websocket], "https": [grpc, websocket]}
    return Fallback(ways[url.scheme])


C = TypeVar("C", GrpcCarrier, WebSocketCarrier)


async def _connected(carrier: C) -> C:
    try:
        await carrier.connect(_DIAL_S)
    except BaseException:
        await carrier.close()
        raise
    return carrier

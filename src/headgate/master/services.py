"""The parts of a running master; handlers reach them through their call."""

from dataclasses import dataclass, field
from pathlib import Path

from headgate.fleet.frames import Heartbeat
from headgate.master.api.fairness import Pauses, Refusals, Turns
from headgate.master.api.rates import Rates
from headgate.master.domains.agents.book import StoreBook
from headgate.master.domains.data_planes.service import DataPlanes
from headgate.master.domains.drafts.counting import PreviewCounts
from headgate.master.domains.enrolment.authority import FleetAuthority
from headgate.master.domains.enrolment.service import Enroller
from headgate.master.domains.events.feed import Feeds
from headgate.master.domains.logs.counting import SearchCounts
from headgate.master.domains.logs.relaying import Relay, World
from headgate.master.domains.logs.turns import Turns as SearchTurns
from headgate.master.domains.metrics.recorder import Recorder
from headgate.master.domains.revisions.variants import Variants
from headgate.master.domains.rollouts.figures import Figures
from headgate.master.domains.sessions.keys import Keys
from headgate.master.domains.sessions.passwords import Passwords
from headgate.master.domains.sessions.shared import SharedThrottle
from headgate.master.domains.sessions.throttle import Proven, Throttle
from headgate.master.fleet.hub import LiveHub
from headgate.master.ids import Clock
from headgate.master.sockets import Sockets
from headgate.master.stalled import Stalled
from headgate.master.store.database import Database
from headgate.master.store.leases import Leases, RowLeases, new_holder
from headgate.master.store.sealing import Sealer
from headgate.master.telemetry.rest import RestCounts


@dataclass(slots=True)
class Master:
    """The parts of a master that live as long as it."""

    database: Database
    sealer: Sealer
    clock: Clock
    keys: Keys
    passwords: Passwords
    throttle: Throttle
    logins: SharedThrottle
    feeds: Feeds
    leases: Leases
    holder: str
    """This master's name as a holder of leases."""
    authority: FleetAuthority
    book: StoreBook
    data_planes: DataPlanes
    hub: LiveHub
    figures: Figures
    recorder: Recorder
    rates: Rates
    refusals: Refusals
    relay: Relay
    turns: Turns = field(default_factory=Turns)
    pauses: Pauses = field(default_factory=Pauses)
    proven: Proven = field(default_factory=Proven)
    """Tokens."""
    logged_in: Proven = field(default_factory=Proven)
    """Users' names, each with a network from which somebody logged in with it."""
    searches: SearchTurns = field(default_factory=SearchTurns)
    searched: SearchCounts = field(default_factory=SearchCounts)
    previews: PreviewCounts = field(default_factory=PreviewCounts)
    rest: RestCounts = field(default_factory=RestCounts)
    stalled: Stalled = field(default_factory=Stalled)
    sockets: Sockets = field(default_factory=Sockets)
    key_file: Path | None = None
    """The file of the master's key; None: it came from the environment."""


def assembled(
    database: Database, sealer: Sealer, clock: Clock, passwords: Passwords | None = None
) -> Master:
    """Returns a master on an open database."""
    logins = SharedThrottle(database, clock)
    leases, holder = RowLeases(database, clock), new_holder()
    authority = FleetAuthority(database, sealer, clock, leases, holder)
    enroller = Enroller(database, clock, authority, logins)
    book = StoreBook(database, clock, authority, enroller)
    book.manifests.variant = Variants(database, sealer, clock).of
    hub = LiveHub(book)
    figures = Figures()
    recorder = Recorder(database, clock)

    def measured(agent: str, beat: Heartbeat) -> None:
        now = clock() / 1000
        figures.notice(now)
        figures.add(agent, now, beat.figures)
        recorder.add(agent, beat)

    book.cut = hub.cut
    book.measured = measured
    book.cut_certificates = hub.cut_certificates
    book.outdated = hub.renew
    book.upgrade = hub.upgrade
    feeds = Feeds(database)
    book.tells(feeds.tell)
    book.wake = lambda agent: hub.wake([agent])
    return Master(
        database=database,
        sealer=sealer,
        clock=clock,
        keys=Keys(database, sealer, clock),
        passwords=passwords or Passwords(),
        feeds=feeds,
        leases=leases,
        holder=holder,
        throttle=Throttle(clock),
        logins=logins,
        authority=authority,
        book=book,
        data_planes=DataPlanes(database, clock, authority, enroller),
        hub=hub,
        figures=figures,
        recorder=recorder,
        key_file=sealer.file,
        rates=Rates(clock),
        refusals=Refusals(clock),
        relay=Relay(World(database, sealer, clock, hub, authority)),
    )

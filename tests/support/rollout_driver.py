"""The driver of the rollouts of a master of `master_world`; it looks when a test says so."""

from master_world import World

from headgate.master.domains.rollouts.driver import Driver
from headgate.master.domains.rollouts.driver import World as Driven
from headgate.master.domains.rollouts.figures import Figures
from headgate.master.store.leases import RowLeases


def driver_of(world: World) -> Driver:
    """Returns a driver with the master's own hub and clock, whose agents measured nothing."""
    master = world.master
    leases = RowLeases(world.database, master.clock)
    return Driver(
        Driven(world.database, leases, master.hub, master.feeds, Figures(), master.clock), "one"
    )

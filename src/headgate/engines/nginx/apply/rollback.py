"""Rolls back by hand: chooses the release, and the secrets that it serves with again."""

from headgate.engines.nginx.apply.applier import Applier
from headgate.engines.nginx.apply.carry import carried, to_carry
from headgate.engines.nginx.apply.results import Result
from headgate.engines.nginx.common.types import Generation, Rendered
from headgate.engines.nginx.releases.lock import locked
from headgate.engines.nginx.releases.names import ReleaseName
from headgate.engines.nginx.releases.store import Release, Store, UnknownReleaseError


class NoReleaseError(Exception):
    """There is no release to go back to, or none of that name; says which there are."""


def roll_back(applier: Applier, store: Store, wanted: str | None, *, exact: bool) -> Result:
    """Makes nginx serve an older release: `previous`, or `wanted` by its name or generation.

    Unless `exact`, it keeps renewed certificates and changed credentials of the current release, as
    a generation of its own. Restores a release that was edited or removed. Raises NoReleaseError;
    NotCarriedError; BusyError while another process applies; UnknownReleaseError,
    DamagedObjectError, NoSpaceError or OSError where the release cannot be restored.
    """
    name = choose(store, wanted)
    current = store.linked("current")
    if not exact and current is not None and current != name and store.has(current):
        with locked(store.root):
            # An edited tree may hide the secrets that it names.
            store.restore(name)
            older, newer = store.release(name), _readable(store, current)
        what = to_carry(older, newer)
        if what.paths:

            def render(generation: Generation) -> Rendered:
                return carried(store, older, newer, what, generation)

            return applier.apply(render, plan_digest=older.manifest.plan_digest, despite_hold=True)
    return applier.switch(name)


def _readable(store: Store, name: ReleaseName) -> Release:
    """Returns a release, restored if its manifest cannot be read."""
    try:
        return store.release(name)
    except UnknownReleaseError:
        store.restore(name)
        return store.release(name)


def choose(store: Store, wanted: str | None) -> ReleaseName:
    """Returns the wanted release; raises NoReleaseError."""
    names = store.names()
    if wanted is None:
        previous = store.linked("previous")
        if previous is None or not store.has(previous):
            raise NoReleaseError("there is no release before the current one; name a release")
        return previous
    found = [one for one in names if wanted in {str(one), str(one.generation)}]
    if len(found) != 1:
        known = ", ".join(map(str, names)) or "none"
        raise NoReleaseError(f"there is no release {wanted}; the releases are: {known}")
    return found[0]

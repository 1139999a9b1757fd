"""The key that seals. All masters on a database use the one that the fleet's authorities are sealed
with: a rotation wraps these first, and waits there for the transactions that seal.
"""

from collections.abc import Callable
from functools import partial

from headgate.master.api.problems import key_missing
from headgate.master.domains.enrolment.store import Lock, listed
from headgate.master.store.sealing import Sealer, key_name_of
from headgate.master.store.transaction import Transaction

Seal = Callable[[bytes, str], str]
"""Returns a secret, encrypted, of a context."""


async def sealing(tx: Transaction, sealer: Sealer) -> Seal:
    """Returns what seals secrets in `tx`; raises ProblemError if this master lacks the key.

    No rotation ends before `tx` does: whatever it sealed is wrapped again. Call it before rows of
    secrets are locked, in the order in which a rotation locks.
    """
    rows = await listed(tx, Lock.SHARED)
    if not rows:
        return sealer.seal  # the first secrets of a database
    if not sealer.has_key_of(rows[-1].sealed):
        raise key_missing()
    return partial(sealer.seal, key=key_name_of(rows[-1].sealed))

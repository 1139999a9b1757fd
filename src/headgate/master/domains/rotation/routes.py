"""The routes by which administrators of the master rotate its key and the fleet's authority."""

from headgate.master.access import Permission
from headgate.master.api.call import Call, Here
from headgate.master.api.routing import Routes
from headgate.master.domains.rotation import authority, keys
from headgate.master.domains.rotation.types import AuthorityStatus, KeyStatus, RotationStep
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.leases import Lease, held

ROUTES = Routes("rotation")


@ROUTES.get("/master/authority", Permission.MASTER_READ)
async def get_authority(call: Here) -> AuthorityStatus:
    """Shows the fleet's certificate authority, and where its rotation stands."""
    async with call.read() as tx:
        return await authority.status(tx, call.master.authority, call.now_ms)


@ROUTES.post("/master/authority/rotation", Permission.MASTER_OPERATE, status=200)
async def rotate_authority(call: Here, new: RotationStep) -> AuthorityStatus:
    """Takes a step of the rotation of the fleet's certificate authority. Connected agents renew
    their certificates by themselves; a step is refused while an agent is not ready for it."""
    ours = call.master.authority
    async with ours.alone() as lease:
        done = await call.write(lambda tx: authority.take(tx, ours, lease, new, call.now_ms))
    await ours.refresh()
    return done


@ROUTES.get("/master/key", Permission.MASTER_READ)
async def get_key(call: Here) -> KeyStatus:
    """Shows the master's keys by name, and how many secrets each has sealed."""
    await call.master.authority.refresh()  # another master may have rotated the key just now
    async with call.read() as tx:
        return await keys.status(tx, call.master.sealer)


@ROUTES.post("/master/key/rotation", Permission.MASTER_OPERATE, status=200)
async def rotate_key(call: Here) -> KeyStatus:
    """Wraps every secret with a new key of the master, all in one transaction. On SQLite the key is
    made here; on PostgreSQL it must be the first one in the key file of every master."""
    master = call.master
    async with held(master.leases, keys.LEASE, master.holder, keys.LEASE_MS) as lease:
        try:
            return await _rotated(call, lease)
        except OSError as error:
            raise StoreUnavailableError(f"the key file cannot be written: {error}") from error


async def _rotated(call: Call, lease: Lease) -> KeyStatus:
    master, sealer = call.master, call.master.sealer
    is_alone = master.database.is_sqlite
    async with call.read() as tx:
        before = await keys.status(tx, sealer)
    key = keys.begin(master.key_file, sealer, before, makes_key=is_alone)
    after = await call.write(lambda tx: keys.rewrap(tx, sealer, key, lease))
    keys.finish(master.key_file, sealer, after, forgets=is_alone)
    return after

"""The key that signs manifests: made once, with the fleet's first authority, sealed at rest, pinned
by agents when they enrol."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headgate.master.domains.enrolment.sealing import sealing
from headgate.master.domains.revisions import store
from headgate.master.domains.revisions.types import ManifestKey
from headgate.master.ids import new_id
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction

CONTEXT = "manifest key"


async def add_key(tx: Transaction, sealer: Sealer, now_ms: int) -> None:
    """Makes a key. Two that masters made at once would sign what agents of the other refuse, so
    `tx` must hold the lease of the authorities."""
    seal = await sealing(tx, sealer)
    key = Ed25519PrivateKey.generate()
    sealed = seal(key.private_bytes_raw(), CONTEXT)
    public = key.public_key().public_bytes_raw()
    made = ManifestKey(id=new_id(now_ms), sealed=sealed, public=public, created_at=now_ms)
    await store.add_manifest_key(tx, made)


async def signing_key(tx: Transaction, sealer: Sealer) -> Ed25519PrivateKey:
    """Returns the key that signs; a master makes one before it serves."""
    keys = await store.manifest_keys(tx)
    if not keys:
        raise RuntimeError("the key that signs manifests was not made yet")
    return Ed25519PrivateKey.from_private_bytes(sealer.open(keys[-1].sealed, CONTEXT))


async def public_keys(tx: Transaction) -> tuple[bytes, ...]:
    """Returns the raw public keys that agents pin."""
    return tuple(key.public for key in await store.manifest_keys(tx))

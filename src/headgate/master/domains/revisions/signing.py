"""The key that signs manifests: made once, sealed at rest, pinned by agents when they enrol."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headgate.master.domains.revisions import store
from headgate.master.domains.revisions.types import ManifestKey
from headgate.master.ids import new_id
from headgate.master.store.sealing import Sealer
from headgate.master.store.transaction import Transaction

CONTEXT = "manifest key"


async def signing_key(tx: Transaction, sealer: Sealer, now_ms: int) -> Ed25519PrivateKey:
    """Returns the key that signs; makes the first one, for which `tx` must write."""
    keys = await store.manifest_keys(tx)
    if keys:
        return Ed25519PrivateKey.from_private_bytes(sealer.open(keys[-1].sealed, CONTEXT))
    key = Ed25519PrivateKey.generate()
    sealed = sealer.seal(key.private_bytes_raw(), CONTEXT)
    public = key.public_key().public_bytes_raw()
    made = ManifestKey(id=new_id(now_ms), sealed=sealed, public=public, created_at=now_ms)
    await store.add_manifest_key(tx, made)
    return key


async def public_keys(tx: Transaction, sealer: Sealer, now_ms: int) -> tuple[bytes, ...]:
    """Returns the raw public keys that agents pin; makes the first one if there is none."""
    await signing_key(tx, sealer, now_ms)
    return tuple(key.public for key in await store.manifest_keys(tx))

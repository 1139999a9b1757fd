"""What tests of the fleet's protocol are made of: a signing key, revisions, a driver of an agent's
session that has its blobs in memory."""

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headgate.fleet import agent_events as ae
from headgate.fleet import frames as fr
from headgate.fleet.manifest import Manifest, address, manifest_of, resource_bytes
from headgate.fleet.master_events import Desired
from headgate.fleet.signing import sign_manifest

SCOPE = "fleet-1"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def files(revision: int, *, count: int = 3) -> dict[str, bytes]:
    """The contents of a revision: `count` routes, of which the first one has its number."""
    first = {"routes/r0.json": resource_bytes({"weight": revision})}
    return first | {f"routes/r{i}.json": resource_bytes({"n": i}) for i in range(1, count)}


def manifest(revision: int, *, count: int = 3, scope: str = SCOPE) -> Manifest:
    """The manifest of `files`."""
    return manifest_of(scope, revision, files(revision, count=count))


def desired(revision: int, *, count: int = 3, key: Ed25519PrivateKey = KEY) -> Desired:
    """The same as what an agent must serve."""
    text = manifest(revision, count=count).canonical()
    version = fr.Version(revision, address(text))
    return Desired(SCOPE, version, text, sign_manifest(key, text), key.sign)


def version(revision: int) -> fr.Version:
    """The version of `desired`."""
    return desired(revision).version


def blobs(revision: int, *, count: int = 3) -> dict[str, bytes]:
    """The contents by address."""
    return {address(body): body for body in files(revision, count=count).values()}


def offer(nonce: int, revision: int, **changes: object) -> fr.Offer:
    """A complete, signed offer; `changes` replace its fields."""
    wanted = desired(revision)
    fields: dict[str, object] = {
        "nonce": nonce,
        "scope": SCOPE,
        "version": wanted.version,
        "manifest": wanted.manifest,
        "signature": wanted.signature,
    }
    return fr.Offer(**(fields | changes))  # type: ignore[arg-type]


@dataclass
class MemoryDisk:
    """The blobs of an agent, complete ones and parts."""

    whole: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, bytes] = field(default_factory=dict)

    def missing(self, command: ae.FindMissing) -> ae.Missing:
        """What of a manifest is not here."""
        wanted = dict.fromkeys(entry.sha256 for entry in command.manifest.entries)
        return ae.Missing(
            command.job,
            tuple(
                fr.Want(one, len(self.parts.get(one, b"")))
                for one in wanted
                if one not in self.whole
            ),
        )

    def store(self, command: ae.Store) -> ae.Stored | None:
        """Writes a part; the verdict once the blob is complete."""
        part = self.parts.get(command.sha256, b"")[: command.offset] + command.data
        self.parts[command.sha256] = part
        if len(part) < command.total:
            return None
        del self.parts[command.sha256]
        is_good = address(part) == command.sha256
        if is_good:
            self.whole[command.sha256] = part
        return ae.Stored(command.sha256, is_good)

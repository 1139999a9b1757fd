"""Makes signed bundles for tests."""

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from headgate.fleet.manifest import Json, address, manifest_of, resource_bytes, resource_path
from headgate.fleet.signing import sign_manifest
from headgate.providers.master.bundle import Bundle, Verify, assembled, verifier

Resources = Mapping[tuple[str, str], Json]

LISTENER: Json = {"address": "127.0.0.1:8000", "default": True}


class Signer:
    """A master's key, and bundles that it signed."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def verify(self) -> Verify:
        """What accepts this master's manifests."""
        return verifier([self.public])

    def parts(
        self, revision: int, resources: Resources, secrets: Mapping[str, bytes] | None = None
    ) -> tuple[bytes, bytes, dict[str, bytes]]:
        """A manifest, its signature, and the content it names."""
        files = {resource_path(*key): resource_bytes(spec) for key, spec in resources.items()}
        files |= {f"secrets/{name}": content for name, content in (secrets or {}).items()}
        raw = manifest_of("edge", revision, files).canonical()
        content = {address(body): body for body in files.values()}
        return raw, sign_manifest(self.key, raw), content

    def bundle(
        self, revision: int, resources: Resources, secrets: Mapping[str, bytes] | None = None
    ) -> Bundle:
        """A verified bundle."""
        return assembled(*self.parts(revision, resources, secrets), self.verify)

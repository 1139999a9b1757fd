"""Defines a bundle: a signed manifest and the content that it names; reads and writes it as bytes.

As bytes it is a tar archive, so that `tar -tf` lists it and `tar -xf` unpacks it anywhere.
"""

import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from headgate.fleet.manifest import Manifest, address, parse
from headgate.fleet.signing import manifest_is_signed
from headgate.kernel.errors import Invalid

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
_FILES: Final = "files/"

Verify = Callable[[bytes, bytes], Manifest]
"""(manifest, signature) → what it says; raises Invalid if it is not what the master signed."""


class DamagedBundleError(Exception):
    """The bytes are no bundle of this master; the message says why."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """One revision of a scope, whole and verified; `content` is by sha256."""

    manifest: Manifest
    raw: bytes
    signature: bytes
    content: Mapping[str, bytes]

    @property
    def revision(self) -> int:
        """Its revision."""
        return self.manifest.revision

    @property
    def hash(self) -> str:
        """The sha256 of its manifest, lower-case hex."""
        return address(self.raw)

    def file(self, path: str) -> bytes | None:
        """Returns the content of a path of the manifest."""
        entry = next((one for one in self.manifest.entries if one.path == path), None)
        return self.content[entry.sha256] if entry is not None else None


def verifier(keys: Iterable[bytes]) -> Verify:
    """Returns what accepts manifests that one of these keys (raw Ed25519) signed."""
    known = tuple(keys)

    def verify(raw: bytes, signature: bytes) -> Manifest:
        if not manifest_is_signed(known, raw, signature):
            raise Invalid("the manifest is not signed by the master", "fetch it again")
        return parse(raw)

    return verify


def assembled(raw: bytes, signature: bytes, content: Mapping[str, bytes], verify: Verify) -> Bundle:
    """Returns the bundle of a manifest and contents;
    raises DamagedBundleError if one is missing or is another than the manifest names.
    """
    try:
        manifest = verify(raw, signature)
    except Invalid as wrong:
        raise DamagedBundleError(str(wrong)) from wrong
    kept: dict[str, bytes] = {}
    for entry in manifest.entries:
        found = content.get(entry.sha256)
        if found is None:
            raise DamagedBundleError(f"the content of {entry.path} is missing")
        if len(found) != entry.size or address(found) != entry.sha256:
            raise DamagedBundleError(f"the content of {entry.path} is not what the manifest names")
        kept[entry.sha256] = found
    return Bundle(manifest, raw, signature, kept)


def packed(bundle: Bundle) -> bytes:
    """Returns a bundle as an archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, MANIFEST, bundle.raw)
        _add(archive, SIGNATURE, bundle.signature)
        for entry in bundle.manifest.entries:
            _add(archive, _FILES + entry.path, bundle.content[entry.sha256])
    return out.getvalue()


def unpacked(archive: bytes, verify: Verify) -> Bundle:
    """Returns the bundle of an archive; raises DamagedBundleError."""
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in tar:
                stream = tar.extractfile(member)
                if stream is not None:
                    found[member.name] = stream.read()
    except (tarfile.TarError, OSError, ValueError, EOFError) as wrong:
        raise DamagedBundleError(f"the archive cannot be read: {wrong}") from wrong
    if MANIFEST not in found or SIGNATURE not in found:
        raise DamagedBundleError("the archive has no signed manifest")
    content = {address(data): data for data in found.values()}
    return assembled(found[MANIFEST], found[SIGNATURE], content, verify)


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    member.mode = 0o600
    archive.addfile(member, io.BytesIO(data))

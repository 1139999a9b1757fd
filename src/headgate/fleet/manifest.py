"""The manifest of a fleet at one revision: a sorted list of files with their content addresses.

Owns the canonical bytes of manifests and resources, their hashes, paths and differences. Never
holds the contents that it lists.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote, unquote

import msgspec

from headgate.kernel.errors import Invalid

Json: TypeAlias = Any
"""Any JSON value: texts, numbers, booleans, None, lists and mappings with texts as keys."""

MAX_BYTES = 4 << 20
MAX_PATH = 512
PUBLIC, SECRET = 0o644, 0o600
SECRETS = "secrets/"
NGINX_IMPORTS = "nginx_imports"
"""The kind of resources that no compiler reads: imported nginx configs, which nginx alone runs."""
_HEX = frozenset("0123456789abcdef")
_NAMES = {PUBLIC: "0644 (420)", SECRET: "0600 (384)"}


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file. Its fields stand in the order of their names, as canonical JSON has them."""

    mode: int
    path: str
    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The files of `scope`, a fleet's id, at `revision`, sorted by path."""

    entries: tuple[Entry, ...]
    revision: int
    scope: str

    def canonical(self) -> bytes:
        """Returns the bytes that are hashed and signed."""
        return msgspec.json.encode(self)

    def hash(self) -> str:
        """Returns the sha256 of the canonical bytes; costs an encoding."""
        return address(self.canonical())


class _Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    put: tuple[Entry, ...]
    remove: tuple[str, ...]
    revision: int
    scope: str


def address(content: bytes) -> str:
    """Returns the content address: sha256 in lower-case hex."""
    return hashlib.sha256(content).hexdigest()


def is_address(text: str) -> bool:
    """Says whether `text` has the form of a content address."""
    return len(text) == hashlib.sha256().digest_size * 2 and _HEX.issuperset(text)


def resource_bytes(spec: Json) -> bytes:
    """Returns the canonical JSON of a resource's spec: sorted keys, no spaces, UTF-8.
    Raises Invalid if it holds what JSON cannot say.
    """
    try:
        text = json.dumps(
            spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError) as error:
        raise Invalid(f"the spec is no JSON ({error})", "write texts, numbers and tables") from None


def resource_path(kind: str, name: str) -> str:
    """Returns the place of a resource in a manifest, `routes/api.json`.

    Characters other than letters, digits, `_`, `.` and `-` are written as `%XX`, and so is a dot
    at the beginning.
    """
    stem = quote(name, safe="")
    if stem.startswith("."):
        stem = "%2E" + stem[1:]
    return f"{kind}/{stem.replace('~', '%7E')}.json"


def resource_of(path: str) -> tuple[str, str] | None:
    """Returns kind and name of the resource at `path`; None if it is another file."""
    kind, slash, file = path.partition("/")
    if not slash or "/" in file or not file.endswith(".json") or path.startswith(SECRETS):
        return None
    name = unquote(file.removesuffix(".json"))
    return (kind, name) if resource_path(kind, name) == path else None


def manifest_of(scope: str, revision: int, files: Mapping[str, bytes]) -> Manifest:
    """Returns the manifest of these contents by path; what is below `secrets/` has mode 0600.
    Raises Invalid as `parse` does.
    """
    entries = tuple(
        Entry(SECRET if path.startswith(SECRETS) else PUBLIC, path, address(body), len(body))
        for path, body in sorted(files.items())
    )
    manifest = Manifest(entries, revision, scope)
    _require(manifest)
    return manifest


def parse(text: bytes) -> Manifest:
    """Returns the manifest that `text` is the canonical form of. Raises Invalid for anything else:
    unsorted, with a path that leaves its folder, too large, spelt in another way.
    """
    if len(text) > MAX_BYTES:
        raise Invalid(f"a manifest of {len(text)} bytes is too large", f"at most {MAX_BYTES}")
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"this is no manifest ({error})", "send its canonical JSON") from None
    _require(manifest)
    if manifest.canonical() != text:
        raise Invalid("the manifest is not canonical", "sort its keys and leave out spaces")
    return manifest


def difference(base: Manifest, target: Manifest) -> bytes:
    """Returns what `patched` makes `target` of `base` with."""
    before = {entry.path: entry for entry in base.entries}
    after = {entry.path for entry in target.entries}
    put = tuple(entry for entry in target.entries if before.get(entry.path) != entry)
    remove = tuple(path for path in before if path not in after)
    return msgspec.json.encode(_Changes(put, remove, target.revision, target.scope))


def added(base: Manifest | None, target: Manifest) -> tuple[Entry, ...]:
    """Returns the entries of `target` whose contents `base` does not have, each content once."""
    known = {entry.sha256 for entry in base.entries} if base else set()
    new = {entry.sha256: entry for entry in target.entries if entry.sha256 not in known}
    return tuple(new.values())


def patched(base: Manifest, changes: bytes) -> Manifest:
    """Returns `base` with `changes`. Raises Invalid if these are none, or lead to no manifest."""
    try:
        change = msgspec.json.decode(changes, type=_Changes)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"these are no changes ({error})", "send the complete manifest") from None
    entries = {entry.path: entry for entry in base.entries}
    for path in change.remove:
        entries.pop(path, None)
    entries.update((entry.path, entry) for entry in change.put)
    ordered = tuple(entries[path] for path in sorted(entries))
    manifest = Manifest(ordered, change.revision, change.scope)
    _require(manifest)
    return manifest


def _require(manifest: Manifest) -> None:
    if manifest.revision < 1:
        raise Invalid(f"revision {manifest.revision} does not exist", "count from 1")
    if not manifest.scope:
        raise Invalid("the manifest has no scope", "write the fleet's id")
    for entry in manifest.entries:
        _require_entry(entry)
    _require_order([entry.path for entry in manifest.entries])


def _require_entry(entry: Entry) -> None:
    path = entry.path
    parts = path.split("/")
    if len(path.encode()) > MAX_PATH or not path.isprintable() or "\\" in path:
        raise Invalid(f"{path[:80]!r} is no path", f"write at most {MAX_PATH} printable bytes")
    if any(part in ("", ".", "..") for part in parts):
        raise Invalid(f"{path!r} is no path below the folder", "write names between single slashes")
    if entry.mode not in _NAMES:
        raise Invalid(f"{path} has mode {entry.mode:o}", f"write {' or '.join(_NAMES.values())}")
    if path.startswith(SECRETS) and entry.mode != SECRET:
        raise Invalid(f"{path} is a secret that others can read", f"write {_NAMES[SECRET]}")
    if not is_address(entry.sha256):
        raise Invalid(f"{path} has no content address", "write sha256 in lower-case hex")
    if entry.size < 0:
        raise Invalid(f"{path} has size {entry.size}", "write the number of its bytes")


def _require_order(paths: Iterable[str]) -> None:
    last = ""
    folders: set[str] = set()
    files: set[str] = set()
    for path in paths:
        if path <= last:
            raise Invalid(f"{path} stands after {last}", "sort the paths, each one once")
        last = path
        files.add(path)
        folder, slash, _ = path.rpartition("/")
        while slash and folder not in folders:
            folders.add(folder)
            folder, slash, _ = folder.rpartition("/")
    if both := sorted(files & folders):
        raise Invalid(f"{both[0]} is a file and a folder", "give one of them another name")

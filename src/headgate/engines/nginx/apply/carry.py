"""Gives an older release today's secrets, which a rollback must not undo.

Certificates that were renewed since, and credentials that were changed since (somebody may have
been removed), are taken from the newer release where both have them; everything else is the older
one's, also the CAs of upstreams. Files are identified by their names without the digest that the
renderer puts into them (`certs/shop-0123456789ab.pem` is `certs/shop.pem`); they keep the older
one's paths.

Earlier versions gave client CAs and revocation lists names without their policy. Where that, or
another name of their owner, leaves open which takes the place of which, nothing is guessed:
`NotCarriedError`. The same holds for a revocation list that the older text has no place for.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, Self

from cryptography import x509
from msgspec.structs import replace as revised

from headgate.engines.nginx.apply.conftree import Conf, DiskFiles, read_conf
from headgate.engines.nginx.common.types import Generation, Rendered, RenderedFile
from headgate.engines.nginx.observe.certificates import Leaf, Reader, leaf_of
from headgate.engines.nginx.releases.names import CONF, ReleaseName
from headgate.engines.nginx.releases.store import Release, Store
from headgate.kernel.unreadable import UNREADABLE

GENERATION_FILE: Final = "generation.conf"
_GUEST: Final = "http.conf"
"""The file of a release that somebody else's nginx.conf includes."""
_CREDENTIALS: Final = ("auth_basic_user_file", "ssl_crl", "ssl_client_certificate")
_OWNERLESS: Final = re.compile(r"certs/(?:ca|crl)-[0-9a-f]{12}\.pem")
"""The names that earlier versions gave to CAs and lists: they do not say of which policy."""
_STAPLE: Final = "ssl_stapling_file"
_IN_VARIABLES: Final = re.compile(r"certs/[^/]+\.conf")
_VALUES: Final = re.compile(rb'default "([^"$]*)";')
_DIGEST: Final = re.compile(r"-[0-9a-f]{12}(?=\.[a-z]+$|$)")


class NotCarriedError(Exception):
    """It is not known which of the newer release's credentials take the place of the older's."""


@dataclass(frozen=True, slots=True)
class Carried:
    """The files taken over: paths in the older release to those in the newer, leaves likewise."""

    paths: Mapping[str, str]
    leaves: Mapping[str, str]


class _Text(NamedTuple):
    """A release's own config, as it reads once it is `current`, and the paths of its files, which a
    guest's text names below that link.
    """

    name: ReleaseName
    conf: Conf
    current: str
    paths: frozenset[str]

    @classmethod
    def of(cls, release: Release) -> Self:
        """Returns that of a release."""
        paths = frozenset(entry.path for entry in release.manifest.files)
        current = str(release.path.parent.parent / "current")
        entry = release.conf if CONF in paths else release.path / _GUEST
        conf = read_conf(entry, DiskFiles(current, str(release.path)))
        return cls(release.name, conf, f"{current}/", paths)

    def named(self, *names: str) -> Iterator[str]:
        """Yields the files of the release that these directives name."""
        for one in self.conf.all(*names):
            yield from self.among(one.directive.values)

    def among(self, values: Iterable[bytes]) -> list[str]:
        """Returns those of the arguments that are files of the release."""
        shown = (value.decode(errors="surrogateescape") for value in values)
        paths = [one.removeprefix(self.current) for one in shown]
        return [path for path in paths if path in self.paths]


def to_carry(older: Release, newer: Release) -> Carried:
    """Returns what the newer release has in a later form; nothing when it has none.

    Raises NotCarriedError.
    """
    later = _changed(older, newer)
    had, has = _Text.of(older), _Text.of(newer)
    paths: dict[str, str] = {}
    for name in _CREDENTIALS:
        named, now_named = set(had.named(name)), set(has.named(name))
        if any(map(_OWNERLESS.fullmatch, named | now_named)):
            paths |= _only_one(older, named, newer, now_named)
        else:
            paths |= {path: later[path] for path in named if path in later}
            _require_same_owners(older, named, newer, now_named)
    _require_places(had, has)
    leaves: dict[str, str] = {}
    for certificate, key, staple in _pairs(had):
        files = [certificate, key, *([staple] if staple else [])]
        if certificate not in later or (staple and staple not in later):
            continue  # it is the same, or would be served with the other one's OCSP response
        was = Reader(str(older.path)).read(certificate).leaf
        now = Reader(str(newer.path)).read(later[certificate], later.get(key, key))
        if was is None or now.leaf is None or now.key != "fits":
            continue
        if now.leaf.not_after_s > was.not_after_s:
            paths |= {path: later[path] for path in files if path in later}
            leaves[was.sha256] = now.leaf.sha256
    for path in filter(_IN_VARIABLES.fullmatch, later):
        was, there = (leaf_in(one.path / at) for one, at in ((older, path), (newer, later[path])))
        if was is not None and there is not None and there.not_after_s > was.not_after_s:
            paths[path] = later[path]
            leaves[was.sha256] = there.sha256
    return Carried(paths, leaves)


def leaf_in(path: Path) -> Leaf | None:
    """Returns the leaf of a file with a certificate and its key in variables; None without one."""
    try:
        values = _VALUES.findall(path.read_bytes())
        pem = b"".join(values).replace(b"\\r", b"").replace(b"\\n", b"\n")
        return leaf_of(x509.load_pem_x509_certificate(pem))
    except (OSError, *UNREADABLE):
        return None


def carried(
    store: Store, older: Release, newer: Release, what: Carried, generation: Generation
) -> Rendered:
    """Returns the older release's files with the newer one's secrets,
    as a generation of its own.

    Raises UnknownReleaseError or DamagedObjectError where the pristine copies are missing.
    """
    fresh = {file.path: file.content for file in store.read(newer.name).files}
    base = store.read(older.name)

    def later(file: RenderedFile) -> RenderedFile:
        source = what.paths.get(file.path)
        content = file.content if source is None else fresh[source]
        if file.path == GENERATION_FILE:
            number = rb"(?<![0-9])%d(?![0-9])" % older.name.generation
            content = re.sub(number, b"%d" % generation, content)
        return RenderedFile(file.path, content, file.mode)

    return replace(
        base,
        files=tuple(map(later, base.files)),
        served_names=tuple(
            revised(one, leaves=tuple(what.leaves.get(leaf, leaf) for leaf in one.leaves))
            for one in base.served_names
        ),
    )


def _changed(older: Release, newer: Release) -> dict[str, str]:
    """Returns files of the older release that the newer has
    with other content: path to path there.
    """
    there: dict[str, list[tuple[str, str]]] = {}
    for entry in newer.manifest.files:
        there.setdefault(_DIGEST.sub("", entry.path), []).append((entry.path, entry.sha256))
    here = Counter(_DIGEST.sub("", entry.path) for entry in older.manifest.files)
    found: dict[str, str] = {}
    for entry in older.manifest.files:
        plain = _DIGEST.sub("", entry.path)
        same = there.get(plain, [])
        if here[plain] == 1 and len(same) == 1 and same[0][1] != entry.sha256:
            found[entry.path] = same[0][0]
    return found


def _only_one(
    older: Release, named: set[str], newer: Release, now_named: set[str]
) -> dict[str, str]:
    """Returns what takes the place of files of one kind whose names do not tell their owners:
    nothing where they are the same, or there is none today. Raises NotCarriedError.
    """
    was, now = (
        {entry.sha256: entry.path for entry in release.manifest.files if entry.path in paths}
        for release, paths in ((older, named), (newer, now_named))
    )
    if not was or not now or was.keys() == now.keys():
        return {}
    if len(was) > 1 or len(now) > 1:
        raise NotCarriedError(
            f"release {older.name} or {newer.name} is of a version that did not keep the client "
            "CAs and revocation lists of TLS policies apart, so those of today cannot be put into "
            "it: name another release, or add `--exact` to serve with the old ones"
        )
    return {path: only for path in was.values() for only in now.values()}


def _require_same_owners(
    older: Release, named: set[str], newer: Release, now_named: set[str]
) -> None:
    """Raises NotCarriedError where files of one kind that only the older release has may be those
    that only the newer one has, under another name of their owner and with other content.
    """
    was, now = (
        {_DIGEST.sub("", one.path): one.sha256 for one in of.manifest.files if one.path in paths}
        for of, paths in ((older, named), (newer, now_named))
    )
    old, new = frozenset(was.values()), frozenset(now.values())
    gone = sorted(name for name in was.keys() - now.keys() if was[name] not in new)
    came = sorted(name for name in now.keys() - was.keys() if now[name] not in old)
    if gone and came:
        raise NotCarriedError(
            f"{gone[0]} of release {older.name} may be {came[0]} of release {newer.name}, of an "
            "owner with another name: name another release, or add `--exact` to serve with the old "
            "one"
        )


def _require_places(older: _Text, newer: _Text) -> None:
    """Raises NotCarriedError where a policy has a revocation list today and had none."""
    asking = set(older.named("ssl_client_certificate"))
    stems = {_stem(path) for path in asking}
    had = {_stem(path) for path in older.named("ssl_crl")}
    is_open = not had and any(map(_OWNERLESS.fullmatch, asking))
    for path in newer.named("ssl_crl"):
        if is_open or (_stem(path) in stems and _stem(path) not in had):
            raise NotCarriedError(
                f"release {older.name} has no place for the revocation list {path} of today: name "
                "another release, or add `--exact` to serve without it"
            )


def _stem(path: str) -> str:
    """Returns the name of a file without its directory and digest: that of its policy."""
    return _DIGEST.sub("", path).rpartition("/")[2]


def _pairs(text: _Text) -> Iterator[tuple[str, str, str]]:
    """Yields (certificate, key, OCSP response or "") as relative paths,
    of every block that has them, and of those that upstreams are shown.
    """
    for block in (*text.conf.all("http"), *text.conf.all("server")):
        if block.directive.children is None:
            continue
        inside = list(text.conf.tree.inside(block.at))
        certificates, keys, staples = (
            [
                value
                for one in inside
                if one.directive.name == name.encode()
                for value in text.among(one.directive.values)
            ]
            for name in ("ssl_certificate", "ssl_certificate_key", _STAPLE)
        )
        for certificate, key in zip(certificates, keys, strict=False):
            yield certificate, key, staples[0] if staples else ""
    # Rendered text has each with its key.
    shown, of = (list(text.named(f"proxy_ssl_certificate{end}")) for end in ("", "_key"))
    yield from ((certificate, key, "") for certificate, key in set(zip(shown, of, strict=False)))

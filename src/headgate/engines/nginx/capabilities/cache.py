"""Keeps what a probe found, keyed by binary, `-V`, modules and our questions."""

import contextlib
import hashlib
import os
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

import msgspec

from headgate.engines.nginx.capabilities.probe import Binary, Probed, probed
from headgate.engines.nginx.capabilities.snippets import SNIPPETS
from headgate.engines.nginx.common.types import Capabilities
from headgate.engines.nginx.instance import modules
from headgate.engines.nginx.instance.modules import Module

_ONE_AT_A_TIME = threading.Lock()


class _Kept(msgspec.Struct, frozen=True):
    key: str
    capabilities: Capabilities
    modules: tuple[Module, ...]


def probe(binary: Binary, folder: Path | None = None) -> Probed:
    """Returns what the binary accepts, from an earlier probe's file in `folder` if there is one.

    Raises NotProbedError, RightMissingError, OSError when the binary cannot be run or read. An
    unreadable or unwritable file costs only the time to ask again. Whoever asks meanwhile waits and
    reads that file.
    """
    with _ONE_AT_A_TIME:
        return _probe(binary, folder)


def _probe(binary: Binary, folder: Path | None) -> Probed:
    build = binary.build()
    beside = installed(binary.root, build, binary.conf)
    key = _key(binary, build, beside)
    file = folder / f"capabilities-{key[:32]}.json" if folder else None
    kept = _read(file, key) if file else None
    if kept is not None:
        return Probed(kept.capabilities, kept.modules, beside)
    found = probed(binary, build)
    if file is not None:
        _write(file, _Kept(key, found.capabilities, found.modules))
    return replace(found, installed=beside)


def installed(root: Path, build: str, conf: str) -> str:
    """Returns text that changes when a module beside a binary is added, removed or replaced."""
    return modules.fingerprint(root, modules.files(root, build, conf))


def _key(binary: Binary, build: str, beside: str) -> str:
    parts = (binary.digest(), build, beside, repr(SNIPPETS))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _read(file: Path, key: str) -> _Kept | None:
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
    except (OSError, ValueError):
        return None
    return kept if kept.key == key else None


def _write(file: Path, kept: _Kept) -> None:
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".capabilities-")
        with os.fdopen(handle, "wb") as fresh:
            fresh.write(msgspec.json.encode(kept))
        Path(name).replace(file)

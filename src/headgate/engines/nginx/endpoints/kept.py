"""Keeps the file that nginx begins with:
`<root>/endpoints`, beside the releases and part of none.

The file is durable before nginx gets the change, so that a start or a reload never returns to older
endpoints; and it keeps those of every upstream that a release on disk names, so that a rollback to
any of them finds its upstreams. Endpoints of an unproven release count for its generation alone, so
that every release begins with its own.
"""

import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from headgate.engines.nginx.endpoints.table import NAMES, BadTableError, Table, decode, encode
from headgate.engines.nginx.releases.names import RELEASES
from headgate.kernel.files import replace_file

FILE: Final = "endpoints"
_HEAD: Final = re.compile(rb"key ([0-9a-f]{32})\n")
_PENDING: Final = re.compile(rb"^pending ([0-9]+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Kept:
    """The file's content; nginx takes a table only with `key`.

    `coming` replaces `table` for its upstreams in the generation `pending`; 0 = in none.
    """

    key: str
    table: Table
    pending: int = 0
    coming: Table = field(default_factory=dict)


class KeptFile:
    """The file below `root`, the folder of the releases."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / FILE

    def read(self) -> Kept:
        """Returns its content, or an empty one with a new key if missing
        or damaged. Raises OSError.
        """
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            text = b""
        try:
            return _decoded(text)
        except BadTableError:  # nginx refuses it as well, and keeps what it has
            return Kept(secrets.token_hex(16), {})

    def write(self, kept: Kept) -> None:
        """Replaces it durably. Raises OSError and leaves it as it was."""
        replace_file(self._path, _encoded(kept))

    def needed(self) -> set[str]:
        """Returns the upstreams that the releases on disk name."""
        found: set[str] = set()
        for path in (self._root / RELEASES).glob(f"*/{NAMES}"):
            found.update(path.read_text().splitlines())
        return found


def _encoded(kept: Kept) -> bytes:
    text = f"key {kept.key}\n".encode() + encode(kept.table)
    if kept.pending:
        text += f"pending {kept.pending}\n".encode() + encode(kept.coming)
    return text


def _decoded(text: bytes) -> Kept:
    head = _HEAD.match(text)
    if head is None:
        raise BadTableError("there is no key")
    key, rest = head[1].decode(), text[head.end() :]
    mark = _PENDING.search(rest)
    if mark is None:
        return Kept(key, decode(rest))
    return Kept(key, decode(rest[: mark.start()]), int(mark[1]), decode(rest[mark.end() :]))

"""Reads what a document refers to by path: through the port, checked, kept by its sha256."""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Final, NamedTuple

from headgate.kernel.errors import Invalid
from headgate.kernel.ids import BlobId
from headgate.kernel.key_sets import KeySetUrl
from headgate.model.files import Files
from headgate.plan.digest import blob_id

MAX_BLOB_BYTES: Final = 1 << 20
"""The data plane refuses a larger blob (plan.proto)."""


class Seen(NamedTuple):
    """The state in which a file was read: its content, None if it could not be read, and whether
    every user of the host could read it, None where nobody asked.
    """

    content: BlobId | None = None
    is_public: bool | None = None


class Reads:
    """The files one object refers to, relative to the directory of its document.

    Remembers what it read (`seen`), so that an object need not be compiled again while its files
    are the same, and what goes with the plan (`blobs`), and what of it is fetched from
    elsewhere (`key_sets`).
    """

    __slots__ = (
        "_directory",
        "_files",
        "_is_confined",
        "_key_sets",
        "blobs",
        "key_sets",
        "secrets",
        "seen",
    )

    def __init__(
        self,
        files: Files,
        directory: PurePath,
        *,
        is_confined: bool = False,
        key_sets: PurePath | None = None,
    ) -> None:
        """`is_confined`: nothing outside of the directory may be named. `key_sets`: the folder of
        what was fetched; None where nothing is served.
        """
        self._key_sets = key_sets
        self.key_sets: dict[KeySetUrl, BlobId | None] = {}
        self._is_confined = is_confined
        self._files = files
        self._directory = directory
        self.seen: dict[PurePath, Seen] = {}
        self.blobs: dict[BlobId, bytes] = {}
        self.secrets: set[str] = set()

    def path(self, text: str) -> PurePath:
        """Returns the path a document means."""
        return self._directory / text

    def text(self, path: str) -> str:
        """Returns the text of a file; raises `Invalid`."""
        content = self._content(path)
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise Invalid(f'"{path}" is not UTF-8 text', "name a file of UTF-8 text") from None

    def secret(self, path: str) -> str:
        """Returns the text of a file without its last line end; raises `Invalid`."""
        return self.text(path).removesuffix("\n").removesuffix("\r")

    def private(self, path: str) -> str:
        """Returns the text of a file that not every user of the host may read; raises `Invalid`."""
        text = self.secret(path)
        place = self.path(path)
        try:
            is_public = self._files.is_public(place)
        except OSError as wrong:
            raise _unreadable(place, wrong) from None
        self.seen[place] = self.seen[place]._replace(is_public=is_public)
        if is_public:
            raise Invalid(
                f'every user of this host can read "{place}"',
                "take that right away, for example with `chmod o-r`",
            )
        if not text:
            raise Invalid(f'"{place}" is empty', "name a file with the secret in its only line")
        return text

    def hide(self, text: str) -> None:
        """Remembers a text of the plan that nothing may show."""
        self.secrets.add(str(text))

    @property
    def is_used(self) -> bool:
        """True if it read or hid anything, or wants anything fetched."""
        return bool(self.seen or self.secrets or self.key_sets)

    def fetched(self, wanted: KeySetUrl) -> str | None:
        """Returns what was last fetched from there: empty if nothing ever was, None where nothing
        is served.
        """
        self.key_sets[wanted] = None
        if self._key_sets is None:
            return None
        place = self._key_sets / f"{wanted.id}.json"
        self._saw(place, None)
        try:
            content = self._files.read(place)
        except OSError:
            return ""
        self.key_sets[wanted] = name = blob_id(content)
        self._saw(place, name)
        return content.decode(errors="replace")

    def blob(self, path: str, check: Callable[[bytes], None]) -> BlobId:
        """Returns the id of a file's content once `check` let it pass; raises `Invalid`."""
        content = self._content(path)
        if len(content) > MAX_BLOB_BYTES:
            raise Invalid(f'"{path}" has {len(content)} bytes', "name a file of at most 1 MiB")
        try:
            check(content)
        except Invalid as wrong:
            raise Invalid(f'"{path}" {wrong.what}', wrong.allowed) from None
        name = blob_id(content)
        self.blobs[name] = content
        return name

    def _content(self, path: str) -> bytes:
        place, named = self.path(path), PurePath(path)
        if self._is_confined and (named.is_absolute() or ".." in named.parts):
            raise Invalid(
                f'"{path}" is a file of the node, which a published config cannot read',
                "publish the file with the config, and name it as `secrets/NAME`",
            )
        self._saw(place, None)
        try:
            content = self._files.read(place)
        except OSError as wrong:
            raise _unreadable(place, wrong) from None
        self._saw(place, blob_id(content))
        return content

    def _saw(self, place: PurePath, content: BlobId | None) -> None:
        self.seen[place] = self.seen.get(place, Seen())._replace(content=content)


def _unreadable(place: PurePath, wrong: OSError) -> Invalid:
    why = (wrong.strerror or type(wrong).__name__).lower()
    return Invalid(f'"{place}" cannot be read: {why}', "name a file that headgate may read")


def unchanged(files: Files, seen: Mapping[PurePath, Seen]) -> bool:
    """Reports whether the files read before are the same now, and as public where that counts."""
    return all(_is_as(before, files, path) for path, before in seen.items())


def _is_as(before: Seen, files: Files, path: PurePath) -> bool:
    try:
        content = blob_id(files.read(path))
        is_public = None if before.is_public is None else files.is_public(path)
    except OSError:
        return before.content is None
    return before == (content, is_public)

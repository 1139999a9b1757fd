"""The folder in which a fleet's authorities lie: `authorities.json` names the others, so that a
change is one rename. Keys have mode 0600, and are encrypted if there is a passphrase."""

import datetime as dt
import json
from pathlib import Path

from headgate.certificates.authority import Authority, create, key_pem, load
from headgate.certificates.authority import pin as pin_of
from headgate.certificates.rotation import Authorities
from headgate.kernel.errors import Invalid
from headgate.kernel.files import replace_file

_INDEX = "authorities.json"
_KEY_MODE, _FOLDER_MODE = 0o600, 0o700


class AuthorityFolder:
    """The authorities on disk. One process writes at a time; the caller sees to that."""

    def __init__(self, folder: Path, passphrase: bytes | None = None) -> None:
        self._folder = folder
        self._passphrase = passphrase

    def load_or_create(self, name: str, now: dt.datetime) -> Authorities:
        """Returns the authorities, the first one made here if the folder has none. Raises Invalid
        if they cannot be read, or a key can be read by others; OSError."""
        if (self._folder / _INDEX).exists():
            return self.load()
        authorities = Authorities((create(name, now),))
        self.save(authorities)
        return authorities

    def load(self) -> Authorities:
        """Returns the authorities. Raises Invalid and OSError."""
        try:
            index = json.loads((self._folder / _INDEX).read_text())
            stems, issuing = [str(one) for one in index["trusted"]], int(index["issuing"])
        except (ValueError, KeyError, TypeError) as error:
            raise Invalid(f"{self._folder / _INDEX} is damaged ({error})", "restore it") from None
        if not stems or not 0 <= issuing < len(stems):
            raise Invalid(f"{self._folder / _INDEX} is damaged", "restore it")
        return Authorities(tuple(self._read(stem) for stem in stems), issuing)

    def save(self, authorities: Authorities) -> None:
        """Writes them: all of this state, or none of it, is there after a crash. Removes those
        that are not trusted any more. Raises OSError."""
        self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        stems = [_stem(one) for one in authorities.listed]
        for stem, one in zip(stems, authorities.listed, strict=True):
            if not (self._folder / f"{stem}.pem").exists():
                self._write(f"{stem}.key", key_pem(one.key, self._passphrase), _KEY_MODE)
                self._write(f"{stem}.pem", one.pem, 0o644)
        index = {"issuing": authorities.issuing, "trusted": stems}
        self._write(_INDEX, json.dumps(index).encode(), 0o644)
        for path in self._folder.glob("ca-*"):
            if path.stem not in stems:
                path.unlink()

    def _read(self, stem: str) -> Authority:
        key = self._folder / f"{stem}.key"
        if key.stat().st_mode & 0o077:
            raise Invalid(f"others can read {key}", "run chmod 600 on it, and rotate the authority")
        return load((self._folder / f"{stem}.pem").read_bytes(), key.read_bytes(), self._passphrase)

    def _write(self, name: str, content: bytes, mode: int) -> None:
        replace_file(self._folder / name, content, mode)


def _stem(authority: Authority) -> str:
    return "ca-" + pin_of(authority.certificate).removeprefix("sha256:")[:16]

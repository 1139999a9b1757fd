"""Makes a config whose pid file and logs lie elsewhere, for a test without root.

`nginx -t` opens the pid file and every log for writing. A root master's are root's, so that a test
by another user would fail there and say nothing of the config. The twin is a copy of the release in
which the folders of ours that a master writes in (`Place.redirected`) become a scratch folder;
everything else, keys included, has the same bytes.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TEXT: Final = ".conf"


@dataclass(frozen=True, slots=True)
class Twin:
    """`conf` is the twin's; `original` restores the real paths in nginx's words."""

    conf: str
    replaced: tuple[tuple[str, str], ...]

    def original(self, text: str) -> str:
        """Returns `text` with the real paths."""
        for real, twin in self.replaced:
            text = text.replace(twin, real)
        return text

    def moved(self, text: str) -> str:
        """Returns `text` with the twin's paths."""
        for real, twin in self.replaced:
            text = text.replace(real, twin)
        return text


@contextmanager
def twin_of(conf: str, redirected: Sequence[str], beside: str | None = None) -> Iterator[Twin]:
    """Makes a twin of `conf`'s folder and removes it afterwards.

    It lies in the folder `beside`, None = the place for temporary files. Raises OSError when the
    release cannot be read or copied.
    """
    source = Path(conf).parent
    with tempfile.TemporaryDirectory(prefix=".headgate-test-", dir=beside) as scratch:
        pairs = [(f"{source}/", f"{scratch}/release/")]
        for number, folder in enumerate(redirected):
            moved = Path(scratch) / f"moved{number}"
            moved.mkdir()
            pairs.append((f"{folder.rstrip('/')}/", f"{moved}/"))
        twin = Twin(f"{scratch}/release/{Path(conf).name}", tuple(pairs))
        shutil.copytree(source, f"{scratch}/release", copy_function=_copy)
        for file in Path(scratch, "release").rglob(f"*{_TEXT}"):
            file.write_text(twin.moved(file.read_text("latin-1")), "latin-1")
        yield twin


def _copy(source: str, target: str) -> str:
    """Copies contents only, with mode 0600, since the scratch folder is ours alone."""
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(Path(source).read_bytes())
    return target

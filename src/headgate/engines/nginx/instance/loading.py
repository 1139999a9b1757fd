"""Decides which `load_module` a test may run at all.

`nginx -t` runs the constructors of every library that a config names before it looks at anything
else, so we check the list first.
"""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from headgate.engines.nginx.instance.modules import built_with, files


@dataclass(frozen=True, slots=True)
class AllowList:
    """The module files found beside a binary (`--modules-path` and its distribution's folders).

    `root` is where the instance's root is for us, `prefix` what relative paths are relative to
    (`-p`, or the one built in).
    """

    root: Path
    prefix: str
    paths: tuple[str, ...]

    @classmethod
    def of(cls, root: Path, build: str, prefix: str | None = None) -> "AllowList":
        """Returns the modules of a binary with this `-V`;
        `prefix` is `-p`, None = the one built in.

        The folders are those of the binary's own build: a config cannot name others.
        """
        built_in = built_with(build, "prefix") or "/usr/local/nginx"
        conf = built_with(build, "conf-path") or f"{built_in}/conf/nginx.conf"
        return cls(root, prefix or built_in, files(root, build, conf))

    def permits(self, value: str) -> bool:
        """Reports whether the argument of a `load_module` leads to one of these very files."""
        try:
            asked = self._path(str(PurePosixPath(self.prefix) / value)).stat()
            known = [self._path(path).stat() for path in self.paths]
        except (OSError, ValueError):
            return False  # missing, or not even a path
        return any((one.st_dev, one.st_ino) == (asked.st_dev, asked.st_ino) for one in known)

    def _path(self, path: str) -> Path:
        return self.root / path.lstrip("/")

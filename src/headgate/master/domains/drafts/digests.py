"""The digest of what a node gets: of the hash of each content, by path, without the revision's
number. Pure."""

import json
from collections.abc import Mapping

from headgate.fleet.manifest import SECRETS, address, parse


def digest(contents: Mapping[str, bytes]) -> str:
    """Returns the digest of contents: sha256 in lower-case hex."""
    return _of_listed({path: address(content) for path, content in contents.items()})


def shown_digest(contents: Mapping[str, bytes]) -> str:
    """Returns the digest of contents for people, on which nobody can try guesses of a secret: of
    secret files it has the paths alone. Nodes of a fleet that get the same at one time, and no
    others, have the same one."""
    return _of_listed(
        {
            path: "" if path.startswith(SECRETS) else address(content)
            for path, content in contents.items()
        }
    )


def digest_of(manifest: bytes) -> str:
    """Returns the digest of what a manifest lists; raises Invalid if it is none."""
    return _of_listed({entry.path: entry.sha256 for entry in parse(manifest).entries})


def _of_listed(listed: Mapping[str, str]) -> str:
    return address(json.dumps(listed, separators=(",", ":"), sort_keys=True).encode())

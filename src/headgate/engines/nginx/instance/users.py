"""Looks up users by name or number."""

import os
import pwd
from pathlib import Path

from headgate.engines.nginx.instance.procfs import Rights


def rights_of(user: str, root: Path) -> Rights | None:
    """Returns a user by name or number with its groups, from the root's passwd and group files."""
    try:
        if root == Path("/"):
            entry = pwd.getpwuid(int(user)) if user.isdigit() else pwd.getpwnam(user)
            groups = os.getgrouplist(entry.pw_name, entry.pw_gid)
            return Rights(entry.pw_uid, entry.pw_gid, frozenset(groups))
        rows = [line.split(":") for line in (root / "etc/passwd").read_text().splitlines()]
        name, _, uid, gid = next(row for row in rows if user in {row[0], *row[2:3]})[:4]
        lines = [line.split(":") for line in (root / "etc/group").read_text().splitlines()]
        others = [line[2] for line in lines if name in "".join(line[3:]).split(",")]
        return Rights(int(uid), int(gid), frozenset(map(int, others)))
    except (OSError, KeyError, StopIteration, ValueError):
        return None

"""Row 15: what can happen to a config file while a node watches it."""

import json
import os
import shutil
import time

from drill_parts import OtherNode
from fault_changes import versioned
from fault_lab import Lab, Seen, SkippedError, get, polite, total
from running_node import HEADGATE, RunningNode
from waiting import until

_CAPABILITIES = "-dac_override,-dac_read_search"


class Watched:
    """A node that watches its config, and what it served when it should have served `version`."""

    def __init__(self, lab: Lab, node: RunningNode, upstream: str) -> None:
        self.node = node
        self.wrong: list[str] = []
        self.tried = 0
        self._lab = lab
        self._upstream = upstream

    def text(self, version: int) -> str:
        """The config of a version."""
        return versioned(self._lab, self._upstream, version)

    def serves(self, version: int) -> bool:
        """Whether that version answers."""
        return get(self._lab.port).version == str(version)

    def keeps(self, version: int, what: str) -> None:
        """Notes what is served otherwise, at once and once the watch has looked."""
        self.tried += 1
        end = time.monotonic() + 0.6
        while time.monotonic() < end:
            answer = get(self._lab.port)
            if answer.body != b"ok" or answer.version != str(version):
                self.wrong.append(f"{what}: {answer.status} {answer.version}")
                return
            time.sleep(0.05)

    def reload(self) -> tuple[int, str]:
        """A reload by hand: its status, and what it complains of."""
        status, body = self.node.admin("POST", "/reload")
        found = json.loads(body).get("diagnostics") or [{}]
        return status, str(found[0].get("message", ""))


def unprivileged() -> tuple[str, ...]:
    """A headgate that permissions hold for: root, but without the right to override them."""
    if os.geteuid() != 0:
        return (str(HEADGATE),)
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SkippedError("root reads every file, and setpriv is missing")
    sets = (f"--bounding-set={_CAPABILITIES}", f"--inh-caps={_CAPABILITIES}")
    return (setpriv, *sets, str(HEADGATE))


def spoiled_files(lab: Lab, seen: Seen) -> None:
    """Row 15: half-written, cut, unreadable, a swapped link, a folder; each with the watch on."""
    upstream = lab.script(polite)
    text = versioned(lab, upstream.address, 1)
    node = OtherNode(unprivileged(), lab.folder, text, "--workers", "1")
    with node.until_ready():
        watched = Watched(lab, node, upstream.address)
        _written_in_pieces(watched, seen)
        _cut(watched, seen)
        _permission_lost(watched, seen)
        _links(watched, seen)
        refused = total(node, r"headgate_config_reloads_total")
    seen.check(
        f"served something else in {watched.tried} states: {watched.wrong or 'never'}",
        not watched.wrong,
    )
    seen.check(f"reloads counted: {refused:.0f}", refused > 0)


def _written_in_pieces(watched: Watched, seen: Seen) -> None:
    """From version 1 to 2, with an fsync and a pause after every 40 bytes."""
    changed = watched.text(2).encode()
    with watched.node.config.open("wb") as file:
        for at in range(0, len(changed), 40):
            file.write(changed[at : at + 40])
            file.flush()
            os.fsync(file.fileno())
            time.sleep(0.06)
            if at + 40 < len(changed) and not watched.serves(1):
                watched.wrong.append(f"half-written at {at}")
    until(lambda: watched.serves(2), "the whole file")
    seen.check(f"written in {len(changed) // 40 + 1} pieces: only the whole is taken", True)


def _cut(watched: Watched, seen: Seen) -> None:
    """Version 2 stays, wherever its file is cut, unless what is left is a config by itself."""
    config, whole = watched.node.config, watched.text(3)
    ends = [at for at in range(7, len(whole), 40)]
    refused = taken = 0
    for length in (0, *ends):
        config.write_text(whole[:length])
        if watched.reload()[0] == 422:
            refused += 1
            watched.keeps(2, f"cut after {length} characters")
        else:
            taken += 1
            config.write_text(watched.text(2))
            until(lambda: watched.serves(2), "the config before")
    config.write_text("")
    status, why = watched.reload()
    watched.keeps(2, "emptied")
    seen.check(f"emptied: {status} {why}", status == 422)
    seen.check(
        f"cut in {len(ends) + 1} places: {refused} refused, {taken} a config by themselves",
        refused >= len(ends) // 2,
    )
    config.write_text(whole)
    until(lambda: watched.serves(3), "the whole file")


def _permission_lost(watched: Watched, seen: Seen) -> None:
    """Version 3 stays while the file must not be read; what it becomes meanwhile comes later."""
    config = watched.node.config
    config.chmod(0)
    watched.keeps(3, "mode 000")
    status, why = watched.reload()
    seen.check(f"mode 000: {status} {why}", status == 422 and "ermission" in why)
    config.write_text(watched.text(4))
    watched.keeps(3, "mode 000, and changed")
    config.chmod(0o600)
    until(lambda: watched.serves(4), "the file that can be read again")
    seen.check("readable again: taken by the watch", True)


def _links(watched: Watched, seen: Seen) -> None:
    """Version 4 stays under a link to nothing, to what must not be read, and under a folder."""
    config = watched.node.config
    folder = config.parent
    config.unlink()
    watched.keeps(4, "gone")
    config.symlink_to(folder / "nowhere.toml")
    watched.keeps(4, "a dangling link")
    (folder / "five.toml").write_text(watched.text(5))
    (folder / "six.toml").write_text(watched.text(6))
    (folder / "six.toml").chmod(0)
    _swap(watched, "six.toml")
    watched.keeps(4, "a link to what must not be read")
    _swap(watched, "five.toml")
    until(lambda: watched.serves(5), "the target of the swapped link")
    (folder / "six.toml").chmod(0o600)
    _swap(watched, "six.toml")
    until(lambda: watched.serves(6), "the target of the link that is swapped again")
    config.unlink()
    config.mkdir()
    watched.keeps(6, "a folder in its place")
    config.rmdir()
    config.write_text(watched.text(7))
    until(lambda: watched.serves(7), "a good file again")
    seen.check("a swapped link and a good file after all that: taken by the watch", True)


def _swap(watched: Watched, target: str) -> None:
    """Replaces the config by a link, at once."""
    fresh = watched.node.config.with_suffix(".fresh")
    fresh.symlink_to(target)
    fresh.replace(watched.node.config)

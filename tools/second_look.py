"""Runs the tests again that failed in the last run of pytest, if they are few, each three times and
with nothing beside them. Exit code 0 says that all of them passed every time.

CI calls this after a run with failures. Its machine has other users, who can hold a process up for
seconds, and one test of thousands that took this for a fault would say nothing about the change.
What passes here is still named as flaky, because its test or the product has a race to be mended.
`make test` outside CI never looks twice.
"""

import json
import subprocess
import sys
from pathlib import Path

#: More failures than this have a cause in common.
MOST = 3
TIMES = 3
#: The exit code of pytest for a test that it does not find, and for other errors of usage.
UNKNOWN = 4


def failed(cache: Path) -> list[str]:
    """The names of the tests that failed, as pytest keeps them; empty if it kept none."""
    kept = cache / "v/cache/lastfailed"
    return sorted(json.loads(kept.read_text())) if kept.exists() else []


def look(names: list[str], folder: Path) -> bool:
    """Reports whether tests pass each time when they run by themselves in a project's folder."""
    return all(_passes(names, folder) for _ in range(TIMES))


def _passes(names: list[str], folder: Path) -> bool:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    code = subprocess.run([*command, *names], cwd=folder, check=False).returncode
    if code == UNKNOWN:
        # pytest does not find by their ids what schemathesis made of a function.
        functions = sorted({name.partition("[")[0] for name in names})
        code = subprocess.run([*command, *functions], cwd=folder, check=False).returncode
    return code == 0


def main(folder: Path) -> int:
    """The exit code for a run whose cache is in a project's folder."""
    names = failed(folder / ".pytest_cache")
    if not 1 <= len(names) <= MOST:
        sys.stdout.write(f"second look: {len(names)} failed; only 1 to {MOST} are run again\n")
        return 1
    sys.stdout.write(f"second look: {TIMES} turns, by themselves: {', '.join(names)}\n")
    sys.stdout.flush()
    if not look(names, folder):
        return 1
    for name in names:
        sys.stdout.write(f"flaky: {name} failed once, then passed {TIMES} times; mend its race\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))

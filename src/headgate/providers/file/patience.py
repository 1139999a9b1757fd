"""Limits how long a reading may take, and has the words for one that takes longer."""

from typing import Final

from headgate.providers.file.disk import Reading

READ_S: Final = 10.0
"""The time that one file may take: a network file system without an answer by then is away."""
LOAD_S: Final = 300.0
"""The time that a whole config may take."""


def silence(reading: Reading, now: float) -> str:
    """Returns the words on a file that does not answer."""
    return (
        f"{reading.path} does not answer (waited {now - reading.since:.0f} s); "
        "mend its file system, or name another path"
    )


def slowness(load_s: float) -> str:
    """Returns the words on a config that takes too long although each of its files answers."""
    return f"reading the config did not end within {load_s:g} s; make it smaller"

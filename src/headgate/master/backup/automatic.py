"""The backup that a master makes of PostgreSQL before it migrates it.

It is a backup like any other, so that the older version can restore it, too. Nobody is there to
give a passphrase: it is the master's key, without which what is sealed in it opens to nobody.
"""

from pathlib import Path
from typing import Final

from headgate.master.backup.places import Subject, back_up_master
from headgate.master.store.copies import Copy, place_of

_SUFFIX: Final = ".backup"


def before_migration(subject: Subject) -> Copy:
    """Returns what backs the master up into its own directory; that raises StartError, OSError.

    `headgate master restore --passphrase-file` takes the file of the key.
    """

    async def copied() -> Path:
        name = f"before-migration-{subject.clock()}{_SUFFIX}"
        target = place_of(subject.place.directory, name)
        keys = subject.master_key or subject.key_file.read_text()
        await back_up_master(subject, target, keys.split()[0].encode())
        return target

    return copied

"""Remembers over restarts the last good forms of objects that are quarantined.

The bundle on disk has them broken, so without this a restart would close what still serves.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec
import structlog

from headgate.compile.quarantine import LastGood
from headgate.kernel.ids import BlobId
from headgate.plan.codec import decode
from headgate.plan.kinds import ObjectKey
from headgate.plan.plan import PlanEntry, entry
from headgate.providers.master.store import write_private

_FILE: Final = "forms.json"

_log = structlog.get_logger()


class _Form(msgspec.Struct):
    key: ObjectKey
    canonical: bytes
    blobs: tuple[BlobId, ...]


class _Stood(msgspec.Struct):
    key: ObjectKey
    spots: list[tuple[str, str, str]]
    """Listener, name, digest."""


class _Forms(msgspec.Struct):
    forms: list[_Form]
    blobs: dict[BlobId, bytes]
    secrets: list[str]
    defaults: dict[str, bool] = {}
    stood: list[_Stood] = []


class LastForms:
    """The file with these forms; there is none while nothing is quarantined."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def read(self) -> LastGood:
        """Returns the forms; none if the file is missing or damaged."""
        try:
            found = msgspec.json.decode(self._path.read_bytes(), type=_Forms)
            entries = [_entry(form) for form in found.forms]
        except FileNotFoundError:
            return LastGood()
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            _log.warning("master.forms_lost", path=str(self._path), error=str(error))
            return LastGood()
        objects = {one.key: one for one in entries}
        stood = {
            one.key: {(listener, name): digest for listener, name, digest in one.spots}
            for one in found.stood
        }
        secrets = frozenset(found.secrets)
        return LastGood(objects, found.blobs, secrets, found.defaults, frozenset(objects), stood)

    def write(self, good: LastGood, quarantined: Collection[ObjectKey]) -> None:
        """Writes the forms of quarantined objects, and what served with them; a full disk is
        logged.
        """
        kept = [one for key, one in good.objects.items() if key in quarantined]
        try:
            if not kept:
                self._path.unlink(missing_ok=True)
                return
            named = {blob for one in kept for blob in one.blobs}
            forms = _Forms(
                [_Form(one.key, one.canonical, one.blobs) for one in kept],
                {name: content for name, content in good.blobs.items() if name in named},
                sorted(good.secrets),
                dict(good.defaults),
                [
                    _Stood(key, [(*spot, digest) for spot, digest in spots.items()])
                    for key, spots in good.stood.items()
                ],
            )
            write_private(self._path, msgspec.json.encode(forms))
        except OSError as error:
            _log.error("master.forms_not_kept", path=str(self._path), error=str(error))


def _entry(form: _Form) -> PlanEntry:
    value = decode(form.key.kind, form.canonical)
    return entry(form.key.kind, form.key.name, value, form.blobs)

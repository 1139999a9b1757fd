"""Keeps the orders of operators on disk, as JSON, so that they hold over restarts."""

from pathlib import Path
from typing import Final, Literal

import msgspec

from headgate.kernel.files import replace_file

FILE: Final = "orders.json"
WORDS: Final = ("ready", "drain", "maintenance")

Orders = dict[tuple[str, str], str]
"""By upstream and configured address; `ready` is none."""


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    upstream: str
    endpoint: str
    state: Literal["drain", "maintenance"]


class KeptOrders:
    """The file below `root`, the folder of the releases."""

    def __init__(self, root: Path) -> None:
        self._path = root / FILE

    def read(self) -> Orders:
        """Returns the orders. Raises OSError, also for a file that holds something else."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=list[_Kept])
        except FileNotFoundError:
            return {}
        except ValueError as error:
            raise OSError(f"{self._path}: {error}") from error
        return {(one.upstream, one.endpoint): one.state for one in kept}

    def write(self, orders: Orders) -> None:
        """Replaces them durably. Raises OSError and leaves them as they were."""
        every = [
            {"upstream": upstream, "endpoint": endpoint, "state": state}
            for (upstream, endpoint), state in orders.items()
        ]
        replace_file(self._path, msgspec.json.format(msgspec.json.encode(every)))

"""Route tests as data, in the files that `headgate test` takes."""

import io
import os
from pathlib import Path

from headgate.cli.test import OK, test


def assert_routes(file: "str | os.PathLike[str]", *configs: "str | os.PathLike[str]") -> None:
    """Tries the cases of a file (docs/howto/native.md) against configs, or those that it names.

    Raises `AssertionError` with what `headgate test` prints for what is not as expected, and for a
    file or a config that cannot be used.
    """
    told, errors = io.StringIO(), io.StringIO()
    paths = [Path(one) for one in configs]
    if test(Path(file), paths, stream=told, errors=errors) != OK:
        raise AssertionError(errors.getvalue() + told.getvalue())

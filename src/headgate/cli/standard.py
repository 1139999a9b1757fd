"""The three standard streams, which a command may have been started without."""

import os
import sys


def open_missing() -> None:
    """Opens /dev/null in the place of each standard stream that is closed.

    The next file or socket that the process opens would get its number, and what is written to
    standard error would go there (POSIX, `exec`, on descriptors 0 to 2).
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            os.set_inheritable(opened, True)
            stream = os.fdopen(opened, mode, closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

"""The words that a shell offers on Tab: those that are known without asking a master."""

import os


def kinds(incomplete: str) -> list[str]:
    """Returns the kinds that begin so."""
    from headgate.cli.remote.kinds import names  # noqa: PLC0415 - `--help` stays quick

    return [name for name in names() if name.startswith(incomplete)]


def contexts(incomplete: str) -> list[str]:
    """Returns the contexts that begin so; none if their file cannot be read."""
    from headgate.cli.remote import contexts as known  # noqa: PLC0415 - `--help` stays quick
    from headgate.cli.remote.errors import ContextError  # noqa: PLC0415 - as above

    try:
        found = known.load(known.place(os.environ)).contexts
    except ContextError:
        return []
    return [name for name in sorted(found) if name.startswith(incomplete)]

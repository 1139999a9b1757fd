"""The failures of the database, as its callers see them."""


class StoreUnavailableError(Exception):
    """The database cannot be read or written now; nothing of the transaction was kept."""


class QueueFullError(StoreUnavailableError):
    """So many writes wait that no more are taken."""


class RefusedError(StoreUnavailableError):
    """The database refuses a value, however often it is asked: PostgreSQL a NUL in a text, both of
    them a number of more than 64 bits. Nothing of the transaction was kept."""


class TakenError(Exception):
    """A name or key that must be unique is in use already."""


class QuotaError(Exception):
    """A workspace has as many of something as it may have; nothing was added."""

    def __init__(self, name: str, most: int) -> None:
        super().__init__(f"{name}: at most {most}")
        self.name = name
        self.most = most


class TenancyError(RuntimeError):
    """A fault of ours: a statement would have read or changed what its scope does not hold."""


class StartError(Exception):
    """The master cannot start on this database; the message says why and what to do."""

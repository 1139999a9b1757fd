"""Ends what masters left open in PostgreSQL when the network between the two went away.

A cut that drops every packet ends no connection, and a transaction in it keeps its rows locked.
`idle_in_transaction_session_timeout` ends it between two statements. Within one, PostgreSQL waits
without limit for its client: the driver prepares a statement and then sends its values, and rows
that nobody takes fill the socket; `statement_timeout` is not looked at in either wait.
"""

import asyncio
from typing import Final

import structlog

from headgate.master.store.database import Database
from headgate.master.store.errors import StoreUnavailableError

APPLICATION: Final = "headgate master"
"""The `application_name` of the sessions that serve; each gives a statement up after a time."""
_INTERVAL_S: Final = 5.0
# A user reads every column of his own sessions, and may end them. MATERIALIZED, since PostgreSQL
# chooses the order of conditions, and would end sessions before it looks at whose they are.
_END: Final = """
WITH abandoned AS MATERIALIZED (
    SELECT pid FROM pg_stat_activity
    WHERE application_name = :application AND usename = current_user
    AND datname = current_database() AND pid <> pg_backend_pid()
    AND state = 'active' AND wait_event_type = 'Client'
    AND clock_timestamp() - state_change > make_interval(secs => :after_s)
)
SELECT pid FROM abandoned WHERE pg_terminate_backend(pid)
"""

_log = structlog.get_logger()


async def end_abandoned(database: Database, after_s: float) -> None:
    """Ends such sessions every few seconds until it is cancelled; SQLite has none.

    `after_s`: the time after which every master gives a statement up.
    """
    while not database.is_sqlite:
        try:
            pids = await database.numbers(_END, application=APPLICATION, after_s=after_s)
            if pids:
                _log.warning("abandoned sessions of PostgreSQL were ended", pids=pids)
        except StoreUnavailableError as error:
            _log.warning("the look for abandoned sessions waits for the database", error=str(error))
        except Exception:  # without the next look, rollouts could stand still for hours
            _log.exception("a look for abandoned sessions failed; the next one follows")
        await asyncio.sleep(_INTERVAL_S)

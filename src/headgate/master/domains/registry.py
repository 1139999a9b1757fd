"""Every noun of the master, in the order of its page. A new one is a folder and a line here."""

from typing import Final

from headgate.master.api import repeats
from headgate.master.api.routing import Routes
from headgate.master.domains.agents.routes import ROUTES as AGENTS
from headgate.master.domains.audit.routes import ROUTES as AUDIT
from headgate.master.domains.certificates.routes import ROUTES as CERTIFICATES
from headgate.master.domains.data_planes.routes import ROUTES as DATA_PLANES
from headgate.master.domains.drafts.routes import ROUTES as DRAFTS
from headgate.master.domains.drift.routes import ROUTES as DRIFT
from headgate.master.domains.drift.store import DRIFTS
from headgate.master.domains.enrolment.routes import ROUTES as ENROLMENT
from headgate.master.domains.events.routes import ROUTES as EVENTS
from headgate.master.domains.explain.routes import ROUTES as EXPLAIN
from headgate.master.domains.fleets.routes import ROUTES as FLEETS
from headgate.master.domains.join_tokens.routes import ROUTES as JOIN_TOKENS
from headgate.master.domains.logs.routes import ROUTES as LOGS
from headgate.master.domains.metrics.routes import ROUTES as METRICS
from headgate.master.domains.metrics.store import COUNTERS
from headgate.master.domains.metrics.store import METRICS as FLEET_METRICS
from headgate.master.domains.organisations.routes import ROUTES as ORGANISATIONS
from headgate.master.domains.quotas.routes import ROUTES as QUOTAS
from headgate.master.domains.resources.routes import ROUTES as RESOURCES
from headgate.master.domains.revisions.routes import ROUTES as REVISIONS
from headgate.master.domains.rollouts.routes import ROUTES as ROLLOUTS
from headgate.master.domains.rotation.routes import ROUTES as ROTATION
from headgate.master.domains.secrets.routes import ROUTES as SECRETS
from headgate.master.domains.sessions.routes import ROUTES as SESSIONS
from headgate.master.domains.templates.routes import ROUTES as TEMPLATES
from headgate.master.domains.tokens.routes import ROUTES as TOKENS
from headgate.master.domains.users.routes import ROUTES as USERS
from headgate.master.domains.workspaces.routes import ROUTES as WORKSPACES
from headgate.master.store import leases
from headgate.master.store.schema import METADATA

NOUNS: Final[tuple[Routes, ...]] = (
    SESSIONS,
    ORGANISATIONS,
    WORKSPACES,
    QUOTAS,
    USERS,
    TOKENS,
    RESOURCES,
    SECRETS,
    DRAFTS,
    TEMPLATES,
    REVISIONS,
    FLEETS,
    METRICS,
    JOIN_TOKENS,
    AGENTS,
    DATA_PLANES,
    DRIFT,
    EXPLAIN,
    LOGS,
    ROLLOUTS,
    CERTIFICATES,
    ENROLMENT,
    EVENTS,
    AUDIT,
    ROTATION,
)

TABLES: Final = METADATA.tables
"""Every table: importing the nouns declared them."""

PASSING: Final = frozenset({FLEET_METRICS.name, COUNTERS.name, DRIFTS.name})
"""Tables that backups leave out: what they hold ends soon, and nodes say it again."""

__all__ = ["NOUNS", "PASSING", "TABLES", "leases", "repeats"]

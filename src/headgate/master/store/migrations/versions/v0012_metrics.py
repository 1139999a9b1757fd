"""The figures of what a fleet's nodes served, for a day."""

import sqlalchemy as sa
from alembic import op

revision = "0012_metrics"
down_revision = "0011_templates"
branch_labels = None
depends_on = None

_COUNTS = ("covered_ms", "connection_ms", "requests", "server_errors")
_KNOWN_COUNTS = ("client_errors", "endpoint_failures")


def upgrade() -> None:
    """Makes the tables: the slots of nodes and fleets, and the counters of each node."""
    op.create_table(
        "fleet_metrics",
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("node", sa.String(length=26), nullable=False),
        sa.Column("fleet", sa.String(length=26), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _COUNTS),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _KNOWN_COUNTS),
        sa.Column("latency", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("length", "at", "node", name=op.f("pk_fleet_metrics")),
    )
    op.create_index("ix_fleet_metrics_fleet_node_at", "fleet_metrics", ["fleet", "node", "at"])
    op.create_table(
        "fleet_counters",
        sa.Column("agent", sa.String(length=26), nullable=False),
        sa.Column("measured_at", sa.BigInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("server_errors", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _KNOWN_COUNTS),
        sa.Column("latency", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("agent", name=op.f("pk_fleet_counters")),
    )

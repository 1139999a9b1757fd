"""The drift of agents, and the policies of fleets for it."""

import sqlalchemy as sa
from alembic import op

revision = "0014_drift"
down_revision = "0013_upgrades"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the policies of fleets, what agents say, what they are ordered, and their diffs."""
    drift = sa.Column("drift", sa.String(length=16), nullable=False, server_default="node")
    op.add_column("fleets", drift)
    after = sa.Column("heal_after_s", sa.Integer(), nullable=False, server_default="60")
    op.add_column("fleets", after)
    op.add_column("agents", sa.Column("drift", sa.Text(), nullable=True))
    for name in ("drift_since", "orders_at", "heal_order"):
        op.add_column("agents", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("fleet_metrics", sa.Column("drift_ms", sa.BigInteger(), nullable=True))
    op.create_table(
        "agent_drifts",
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("agent", sa.String(length=26), nullable=False),
        sa.Column("files", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("agent", name=op.f("pk_agent_drifts")),
    )
    for name in ("organisation_id", "workspace_id"):
        op.create_index(op.f(f"ix_agent_drifts_{name}"), "agent_drifts", [name], unique=False)

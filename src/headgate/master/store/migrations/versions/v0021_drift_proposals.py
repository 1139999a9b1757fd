"""The proposals that were made of the drift of agents, and the digest of each report."""

import sqlalchemy as sa
from alembic import op

revision = "0021_drift_proposals"
down_revision = "0020_data_planes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table and the digest; an agent says its drift again with its next session."""
    op.add_column("agent_drifts", sa.Column("digest", sa.String(length=64), nullable=True))
    op.create_table(
        "drift_proposals",
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("agent", sa.String(length=26), nullable=False),
        sa.Column("of", sa.String(length=64), nullable=False),
        sa.Column("draft", sa.String(length=63), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agent", name=op.f("pk_drift_proposals")),
    )
    for name in ("organisation_id", "workspace_id"):
        op.create_index(op.f(f"ix_drift_proposals_{name}"), "drift_proposals", [name], unique=False)

"""Quotas of workspaces."""

import sqlalchemy as sa
from alembic import op

revision = "0008_quotas"
down_revision = "0007_selection"
branch_labels = None
depends_on = None

_LIMITS = ("routes", "fleets", "agents", "tokens", "revisions", "requests_per_minute")


def upgrade() -> None:
    """Makes the table."""
    op.create_table(
        "quotas",
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace", sa.String(length=26), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in _LIMITS),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", name=op.f("pk_quotas")),
    )
    op.create_index(op.f("ix_quotas_organisation_id"), "quotas", ["organisation_id"], unique=False)

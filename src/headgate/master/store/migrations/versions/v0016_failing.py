"""Agents whose control process fails at each start."""

import sqlalchemy as sa
from alembic import op

revision = "0016_failing"
down_revision = "0015_node_values"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds since when an agent fails, and how many starts in a row did."""
    op.add_column("agents", sa.Column("failing_since", sa.BigInteger(), nullable=True))
    op.add_column("agents", sa.Column("failed_starts", sa.Integer(), nullable=True))

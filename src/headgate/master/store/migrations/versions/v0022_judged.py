"""The figures that rollouts judge by, of agents of every master."""

import sqlalchemy as sa
from alembic import op

revision = "0022_judged"
down_revision = "0021_drift_proposals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the figures; nodes say them again within seconds."""
    op.add_column("fleet_counters", sa.Column("judged", sa.Text(), nullable=True))

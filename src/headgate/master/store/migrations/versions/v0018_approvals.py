"""The approvals that fleets ask for, and since when rollouts hold."""

import sqlalchemy as sa
from alembic import op

revision = "0018_approvals"
down_revision = "0017_log_asks"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the policy of fleets, and the time of rollouts; those that hold now get theirs when a
    master looks at them next."""
    approvals = sa.Column("approvals", sa.Integer(), nullable=False, server_default="0")
    op.add_column("fleets", approvals)
    op.add_column("rollouts", sa.Column("held_since", sa.BigInteger(), nullable=True))
